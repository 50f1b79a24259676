package wire

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"os"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/antano/antano/shared"
)

func protocolDocument(t *testing.T) string {
	t.Helper()
	b, err := os.ReadFile("../../docs/protocol.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// table returns the rows, cut into cells, of the table whose header starts so.
func table(t *testing.T, document, header string) [][]string {
	t.Helper()
	_, rest, ok := strings.Cut(document, "\n"+header)
	if !ok {
		t.Fatalf("docs/protocol.md has no table %q", header)
	}
	var rows [][]string
	for _, line := range strings.Split(rest, "\n")[2:] {
		if !strings.HasPrefix(line, "|") {
			return rows
		}
		cells := strings.Split(strings.Trim(line, "|"), "|")
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		rows = append(rows, cells)
	}
	return rows
}

func TestDocumentedTypes(t *testing.T) {
	rows := table(t, protocolDocument(t), "| type | name | direction |")
	sizes := map[Type]int{
		TypeHello: len(AppendHello(nil, &Hello{})), TypeWelcome: len(AppendWelcome(nil, &Welcome{})), TypeMessage: MessageOverhead,
		TypeResult: len(AppendResult(nil, &Result{})), TypeSubscribe: len(AppendGroup(nil, 5, &Group{})),
		TypeUnsubscribe: len(AppendGroup(nil, 6, &Group{})), TypeCredit: len(AppendCredit(nil, &Credit{})),
		TypePause: len(AppendPause(nil, 8, &Pause{})), TypeResume: len(AppendPause(nil, 9, &Pause{})),
		TypeHealth: len(AppendHealth(nil, 0)), TypeHealthOK: len(AppendHealthOK(nil, &HealthOK{})),
		TypeSlots: len(AppendSlots(nil, TypeSlots, 0)), TypeSlotsOK: len(AppendSlots(nil, TypeSlotsOK, 0)),
		TypeMoreSequences: len(AppendEmpty(nil, TypeMoreSequences)), TypeSequences: len(AppendSequences(nil, Sequences{})),
		TypeTransfer: len(AppendTransfer(nil, &Transfer{})), TypeMoveOut: len(AppendMoveOut(nil, &MoveOut{})),
		TypeMoveIn: len(AppendMove(nil, TypeMoveIn, 0)), TypeMoveReady: len(AppendMove(nil, TypeMoveReady, 0)),
		TypeMoveCut: len(AppendMove(nil, TypeMoveCut, 0)), TypeMoveAbort: len(AppendMove(nil, TypeMoveAbort, 0)),
		TypeSource: len(AppendSource(nil, TypeSource, &Source{})), TypeSourceGone: len(AppendSourceGone(nil, 0)),
		TypeMember: len(AppendMember(nil, TypeMember, &Member{})), TypeNoMember: len(AppendMember(nil, TypeNoMember, &Member{})),
		TypeRestore:     len(AppendSource(nil, TypeRestore, &Source{})),
		TypePauseSender: len(AppendSenderPause(nil, TypePauseSender, &SenderPause{})), TypeResumeSender: len(AppendSenderPause(nil, TypeResumeSender, &SenderPause{})),
		TypeRejoin: len(AppendRejoin(nil, &Hello{})), TypeRange: len(AppendRange(nil, &Range{})), TypeRejoined: len(AppendEmpty(nil, TypeRejoined)),
		TypeHold: len(AppendHold(nil, TypeHold, 0)), TypeHeld: len(AppendHold(nil, TypeHeld, 0)),
		TypeGiveSockets: len(AppendMove(nil, TypeGiveSockets, 0)), TypeAck: len(AppendAck(nil, &Ack{})),
		TypeMetric: len(AppendMetric(nil, &Metric{})), TypeSenders: len(AppendSenders(nil, KindClient, nil)),
	}
	if len(rows) != len(typeNames)-1 || len(sizes) != len(rows) {
		t.Fatalf("%d types are documented, %d exist, %d have sizes", len(rows), len(typeNames)-1, len(sizes))
	}
	for i, row := range rows {
		typ := Type(i + 1)
		if row[0] != strconv.Itoa(i+1) || row[1] != typ.String() {
			t.Errorf("documented as %s %s, is %d %s", row[0], row[1], typ, typ)
		}
		if want := fmt.Sprintf("%d bytes", sizes[typ]-HeaderSize); !strings.HasPrefix(row[3], want) {
			t.Errorf("%s is documented with %q, has %s", typ, row[3], want)
		}
	}
}

func TestDocumentedCodes(t *testing.T) {
	rows := table(t, protocolDocument(t), "| code | name | the message")
	if len(rows) != shared.NumCodes-1 {
		t.Fatalf("%d codes are documented, %d exist", len(rows), shared.NumCodes-1)
	}
	for i, row := range rows {
		if code := shared.Code(i + 1); row[0] != strconv.Itoa(i+1) || row[1] != code.String() {
			t.Errorf("documented as %s %s, is %d %s", row[0], row[1], code, code)
		}
	}
}

func TestDocumentedFlags(t *testing.T) {
	want := [][2]string{{fmt.Sprintf("0x%02x", FlagStream), "stream"}, {fmt.Sprintf("0x%02x", FlagReply), "reply"}, {fmt.Sprintf("0x%02x", FlagRefused), "refused"}}
	for i, row := range table(t, protocolDocument(t), "| flag | name |") {
		if i >= len(want) || row[0] != want[i][0] || row[1] != want[i][1] {
			t.Errorf("documented flag %s %s", row[0], row[1])
		}
	}
}

// TestDocumentedNumbers checks what the text says in passing.
func TestDocumentedNumbers(t *testing.T) {
	document := protocolDocument(t)
	for _, want := range []string{
		"1 to 16 842 752 (16 MiB + 64 KiB)",
		"`" + shared.CookieValue + "`",
		"| " + strconv.Itoa(shared.ExitConfig) + " | wrong configuration",
	} {
		if !strings.Contains(document, want) {
			t.Errorf("docs/protocol.md does not say %q", want)
		}
	}
	if MaxFrame != 16842752 {
		t.Errorf("MaxFrame is %d", MaxFrame)
	}
}

// TestDocumentedFrames parses the example frames and writes them again.
func TestDocumentedFrames(t *testing.T) {
	secret := [SecretSize]byte(bytes.Repeat([]byte{0xaa}, SecretSize))
	failed := Result{Token: 5, Delivered: 1}
	failed.Fail(shared.CodeOverloaded, 2)
	want := map[string]any{
		"hello":   Hello{Version: 1, Process: 3, Generation: 1, Secret: secret},
		"welcome": Welcome{Version: 1, Server: 1, Sequences: Sequences{1, 4096}, Window: 1 << 20},
		"message": Message{Token: 5, Flags: FlagStream, Kind: KindClient, EntityID: int64(shared.NewClientID(1, 2, 2)), Process: AnyProcess,
			FromKind: KindClient, FromID: int64(shared.NewClientID(1, 1, 1)), Format: shared.FormatJSON, Entity: []byte{}, ID: []byte("7"), Value: []byte(`"hi"`)},
		"result":    failed,
		"subscribe": Group{Token: 9, ID: 7, Entity: []byte("room")},
		"credit":    Credit{Lane: Lane{KindClient, 2}, Bytes: 256 << 10},
	}
	examples := regexp.MustCompile("(?s)```frame (\\w+)\n(.*?)```").FindAllStringSubmatch(protocolDocument(t), -1)
	if len(examples) != len(want) {
		t.Errorf("%d examples, want %d", len(examples), len(want))
	}
	for _, e := range examples {
		frame, err := hex.DecodeString(strings.Join(strings.Fields(e[2]), ""))
		if err != nil {
			t.Fatalf("%s: %v", e[1], err)
		}
		f, n, need, err := Next(frame)
		if err != nil || n != len(frame) || f.Type.String() != e[1] {
			t.Errorf("%s: %d of %d bytes, needs %d, %v", e[1], n, len(frame), need, err)
			continue
		}
		got, err := parseAs(f.Type, f.Body)
		if err != nil || !reflect.DeepEqual(got, want[e[1]]) {
			t.Errorf("%s: got %+v, %v; want %+v", e[1], got, err, want[e[1]])
		}
	}
}
