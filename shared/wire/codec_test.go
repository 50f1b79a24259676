package wire

import (
	"bytes"
	"errors"
	"io"
	"math"
	"reflect"
	"testing"

	"github.com/antano/antano/shared"
)

var aMessage = Message{
	Token: 0x0102030405060708, FromProcess: 0x1112, Flags: FlagStream | FlagReply, Kind: KindGroup, EntityID: -7,
	Process: AnyProcess, FromKind: KindClient, FromID: 1<<53 - 1, Format: shared.FormatMsgpack,
	Entity: []byte("room"), ID: []byte(`"a"`), Value: []byte{0, 1, 255},
}

func aResult() Result {
	r := Result{Token: 9, Delivered: 3}
	r.Fail(shared.CodeOverloaded, 2)
	r.Fail(shared.CodeTimeout, 1)
	return r
}

func TestMessageBytes(t *testing.T) {
	want := []byte{
		0, 0, 0, 44, 3,
		1, 2, 3, 4, 5, 6, 7, 8, // token
		0x11, 0x12, // from process
		3, 3, // flags, kind
		255, 255, 255, 255, 255, 255, 255, 249, // entity id
		255, 255, // process
		1, 0, 0x1f, 255, 255, 255, 255, 255, 255, // from
		2, 4, 'r', 'o', 'o', 'm', 0, 3, '"', 'a', '"', 0, 1, 255,
	}
	got := AppendMessage(nil, &aMessage)
	want[3] = byte(len(want) - 4)
	if !bytes.Equal(got, want) {
		t.Errorf("got  %x\nwant %x", got, want)
	}
	if len(got) != aMessage.FrameSize() {
		t.Errorf("frame size %d, said %d", len(got), aMessage.FrameSize())
	}
	Readdress(got, 5, 6)
	var m Message
	if err := m.Parse(got[HeaderSize:]); err != nil || m.Token != 5 || m.FromProcess != 6 {
		t.Errorf("readdressed: token %d process %d, %v", m.Token, m.FromProcess, err)
	}
	m.Token, m.FromProcess = aMessage.Token, aMessage.FromProcess
	if !reflect.DeepEqual(m, aMessage) {
		t.Errorf("got %+v", m)
	}
}

// TestControlRoundTrip parses what every Append wrote, and refuses it with a byte
// less and, where nothing may follow, with a byte more.
func TestControlRoundTrip(t *testing.T) {
	hello := Hello{1, 2, 3, [32]byte{4, 5}}
	welcome := Welcome{1, 2, Sequences{3, 4}, 5}
	sequences := Sequences{math.MaxUint32, 1}
	result := aResult()
	group := Group{1, -2, []byte("room")}
	credit := Credit{Lane{KindService, 3}, 4}
	pause := Pause{5, 6, 7}
	health := HealthOK{8, []byte("slot-3 hangs")}
	transfer := Transfer{hello, 6}
	out := MoveOut{7, ScopeSlots, 1 << 63}
	source := Source{8, 63, []byte("state")}
	member := Member{9, -2, []byte("room")}
	sender := SenderPause{-10, 11, 12}
	held := Range{13, Sequences{14, 15}}
	ack := Ack{16, 17}
	for _, tt := range []struct {
		name  string
		frame []byte
		typ   Type
		want  any
		fixed int // bytes before an open end; 0: it has none
	}{
		{"hello", AppendHello(nil, &hello), TypeHello, hello, 0},
		{"welcome", AppendWelcome(nil, &welcome), TypeWelcome, welcome, welcomeBody},
		{"sequences", AppendSequences(nil, sequences), TypeSequences, sequences, 0},
		{"result", AppendResult(nil, &result), TypeResult, result, 0},
		{"subscribe", AppendGroup(nil, TypeSubscribe, &group), TypeSubscribe, group, 0},
		{"unsubscribe", AppendGroup(nil, TypeUnsubscribe, &group), TypeUnsubscribe, group, 0},
		{"credit", AppendCredit(nil, &credit), TypeCredit, credit, 0},
		{"pause", AppendPause(nil, TypePause, &pause), TypePause, pause, 0},
		{"resume", AppendPause(nil, TypeResume, &pause), TypeResume, pause, 0},
		{"health", AppendHealth(nil, 77), TypeHealth, uint64(77), 0},
		{"health ok", AppendHealthOK(nil, &health), TypeHealthOK, health, 8},
		{"slots", AppendSlots(nil, TypeSlots, 1<<63), TypeSlots, uint64(1 << 63), 0},
		{"slots ok", AppendSlots(nil, TypeSlotsOK, 3), TypeSlotsOK, uint64(3), 0},
		{"transfer", AppendTransfer(nil, &transfer), TypeTransfer, transfer, 0},
		{"move out", AppendMoveOut(nil, &out), TypeMoveOut, out, 0},
		{"move in", AppendMove(nil, TypeMoveIn, 1), TypeMoveIn, uint64(1), 0},
		{"move ready", AppendMove(nil, TypeMoveReady, 2), TypeMoveReady, uint64(2), 0},
		{"move cut", AppendMove(nil, TypeMoveCut, 3), TypeMoveCut, uint64(3), 0},
		{"move abort", AppendMove(nil, TypeMoveAbort, 4), TypeMoveAbort, uint64(4), 0},
		{"source", AppendSource(nil, TypeSource, &source), TypeSource, source, 9},
		{"source gone", AppendSourceGone(nil, 5), TypeSourceGone, uint64(5), 0},
		{"member", AppendMember(nil, TypeMember, &member), TypeMember, member, 0},
		{"no member", AppendMember(nil, TypeNoMember, &member), TypeNoMember, member, 0},
		{"restore", AppendSource(nil, TypeRestore, &source), TypeRestore, source, 9},
		{"pause sender", AppendSenderPause(nil, TypePauseSender, &sender), TypePauseSender, sender, 0},
		{"resume sender", AppendSenderPause(nil, TypeResumeSender, &sender), TypeResumeSender, sender, 0},
		{"rejoin", AppendRejoin(nil, &hello), TypeRejoin, hello, 0},
		{"range", AppendRange(nil, &held), TypeRange, held, 0},
		{"hold", AppendHold(nil, TypeHold, HoldAll), TypeHold, HoldAll, 0},
		{"held", AppendHold(nil, TypeHeld, HoldMessages), TypeHeld, HoldMessages, 0},
		{"give sockets", AppendMove(nil, TypeGiveSockets, 6), TypeGiveSockets, uint64(6), 0},
		{"ack", AppendAck(nil, &ack), TypeAck, ack, 0},
		{"senders", AppendSenders(nil, KindService, []int64{-1}), TypeSenders, Senders{KindService, bytes.Repeat([]byte{255}, 8)}, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f, n, _, err := Next(append(tt.frame, 1, 2, 3))
			if err != nil || n != len(tt.frame) || f.Type != tt.typ || !bytes.Equal(f.Raw, tt.frame) {
				t.Fatalf("next: %d of %d bytes, type %d, %v", n, len(tt.frame), f.Type, err)
			}
			got, err := parseAs(tt.typ, f.Body)
			if err != nil || !reflect.DeepEqual(got, tt.want) {
				t.Fatalf("got %+v, %v; want %+v", got, err, tt.want)
			}
			for cut := range len(f.Body) {
				if tt.fixed > 0 && cut >= tt.fixed {
					break
				}
				if _, err := parseAs(tt.typ, f.Body[:cut]); !errors.Is(err, ErrFrame) {
					t.Errorf("cut to %d bytes: %v", cut, err)
				}
			}
			if _, err := parseAs(tt.typ, append(bytes.Clone(f.Body), 0)); tt.fixed == 0 && !errors.Is(err, ErrFrame) {
				t.Errorf("a byte too many: %v", err)
			}
		})
	}
}

// parseAs parses a body as a frame of type t and returns the value.
func parseAs(t Type, body []byte) (any, error) {
	switch t {
	case TypeHello, TypeRejoin:
		var v Hello
		err := v.Parse(body)
		return v, err
	case TypeWelcome:
		var v Welcome
		err := v.Parse(body)
		return v, err
	case TypeMessage:
		var v Message
		err := v.Parse(body)
		return v, err
	case TypeResult:
		var v Result
		err := v.Parse(body)
		return v, err
	case TypeSubscribe, TypeUnsubscribe:
		var v Group
		err := v.Parse(body)
		return v, err
	case TypeCredit:
		var v Credit
		err := v.Parse(body)
		return v, err
	case TypePause, TypeResume:
		var v Pause
		err := v.Parse(body)
		return v, err
	case TypeHealth, TypeSlots, TypeSlotsOK, TypeMoveIn, TypeMoveReady, TypeMoveCut, TypeMoveAbort, TypeGiveSockets, TypeSourceGone:
		return ParseU64(body)
	case TypeHealthOK:
		var v HealthOK
		err := v.Parse(body)
		return v, err
	case TypeSequences:
		var v Sequences
		err := v.Parse(body)
		return v, err
	case TypeHold, TypeHeld:
		return ParseHold(body)
	case TypeMetric:
		var v Metric
		err := v.Parse(body)
		return v, err
	case TypeSenders:
		var v Senders
		err := v.Parse(body)
		return v, err
	}
	return parseMoved(t, body)
}

func parseMoved(t Type, body []byte) (any, error) {
	switch t {
	case TypeTransfer:
		var v Transfer
		err := v.Parse(body)
		return v, err
	case TypeMoveOut:
		var v MoveOut
		err := v.Parse(body)
		return v, err
	case TypeSource, TypeRestore:
		var v Source
		err := v.Parse(body)
		return v, err
	case TypeMember, TypeNoMember:
		var v Member
		err := v.Parse(body)
		return v, err
	case TypePauseSender, TypeResumeSender:
		var v SenderPause
		err := v.Parse(body)
		return v, err
	case TypeRange:
		var v Range
		err := v.Parse(body)
		return v, err
	case TypeAck:
		var v Ack
		err := v.Parse(body)
		return v, err
	}
	return nil, nil
}

func TestRefused(t *testing.T) {
	edit := func(f func(*Message)) []byte {
		m := aMessage
		f(&m)
		return AppendMessage(nil, &m)[HeaderSize:]
	}
	for name, body := range map[string][]byte{
		"kind 0":            edit(func(m *Message) { m.Kind = 0 }),
		"kind 4":            edit(func(m *Message) { m.Kind = 4 }),
		"client with name":  edit(func(m *Message) { m.Kind = KindClient }),
		"group without":     edit(func(m *Message) { m.Entity = nil }),
		"from a group":      edit(func(m *Message) { m.FromKind = KindGroup }),
		"value over limit":  edit(func(m *Message) { m.Value = make([]byte, shared.MaxMessageBytes+1) }),
		"empty":             {},
		"id longer than it": AppendMessage(nil, &aMessage)[HeaderSize : HeaderSize+38],
	} {
		var m Message
		if err := m.Parse(body); !errors.Is(err, ErrFrame) {
			t.Errorf("message %s: %v", name, err)
		}
	}
	var r Result
	for name, body := range map[string][]byte{
		"code 0":       {0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1},
		"code unknown": {0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, byte(shared.NumCodes), 0, 0, 0, 1},
		"code twice":   {0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 2, 1, 0, 0, 0, 1, 1, 0, 0, 0, 1},
	} {
		if err := r.Parse(body); !errors.Is(err, ErrFrame) {
			t.Errorf("result with %s: %v", name, err)
		}
	}
	for _, name := range []string{"", "client", "service"} {
		var g Group
		if err := g.Parse(AppendGroup(nil, TypeSubscribe, &Group{1, 1, []byte(name)})[HeaderSize:]); !errors.Is(err, ErrFrame) {
			t.Errorf("subscribe to %q: %v", name, err)
		}
	}
	for name, frame := range map[string][]byte{
		"move out with scope 0":      AppendMoveOut(nil, &MoveOut{Scope: 0}),
		"move out with scope 3":      AppendMoveOut(nil, &MoveOut{Scope: 3}),
		"source on slot 64":          AppendSource(nil, TypeSource, &Source{Slot: 64}),
		"source with too much state": AppendSource(nil, TypeSource, &Source{State: make([]byte, MaxState+1)}),
		"member of a client":         AppendMember(nil, TypeMember, &Member{Entity: []byte("client")}),
		"member of nothing":          AppendMember(nil, TypeNoMember, &Member{}),
		"held 3":                     AppendHold(nil, TypeHeld, 3),
		"senders that are groups":    AppendSenders(nil, KindGroup, []int64{1}),
		"no senders":                 AppendSenders(nil, KindClient, nil),
		"too many senders":           AppendSenders(nil, KindClient, make([]int64, MaxSenders+1)),
	} {
		if _, err := parseAs(Type(frame[4]), frame[HeaderSize:]); !errors.Is(err, ErrFrame) {
			t.Errorf("%s: %v", name, err)
		}
	}
	var c Credit
	if err := c.Parse(AppendCredit(nil, &Credit{Lane{KindGroup, 1}, 1})[HeaderSize:]); !errors.Is(err, ErrFrame) {
		t.Errorf("credit for a group: %v", err)
	}
}

func TestNextBounds(t *testing.T) {
	for _, tt := range []struct {
		size uint32
		bad  bool
	}{{0, true}, {1, false}, {MaxFrame, false}, {MaxFrame + 1, true}, {math.MaxUint32, true}} {
		buf := []byte{byte(tt.size >> 24), byte(tt.size >> 16), byte(tt.size >> 8), byte(tt.size)}
		_, n, need, err := Next(buf)
		if errors.Is(err, ErrFrame) != tt.bad || n != 0 {
			t.Errorf("length %d: n %d, %v", tt.size, n, err)
		}
		if !tt.bad && need != 4+int(tt.size) {
			t.Errorf("length %d: needs %d", tt.size, need)
		}
	}
	if _, _, need, err := Next([]byte{0, 0, 0}); need != 0 || err != nil {
		t.Errorf("three bytes: need %d, %v", need, err)
	}
}

// A quiet link keeps a small buffer; one that has more to read asks for more at once.
func TestReaderRoom(t *testing.T) {
	small := AppendHealth(nil, 1)
	src := &pieces{small, small, bytes.Repeat(small, 2*firstBuffer/len(small)), bytes.Repeat(small, readBuffer/len(small)), small}
	total := 0
	for _, p := range *src {
		total += len(p) / len(small)
	}
	r := NewReader(src)
	for i := range total {
		if f, err := r.Next(); err != nil || f.Type != TypeHealth || len(f.Raw) != len(small) {
			t.Fatalf("frame %d: %v %v", i, f.Type, err)
		}
		if i == 1 && len(r.buf) != firstBuffer {
			t.Errorf("a quiet link has a buffer of %d bytes", len(r.buf))
		}
	}
	if len(r.buf) != readBuffer {
		t.Errorf("a busy link has a buffer of %d bytes", len(r.buf))
	}
	if _, err := r.Next(); err != io.EOF {
		t.Errorf("at the end: %v", err)
	}
}

// pieces are what reads find, each at most one.
type pieces [][]byte

func (p *pieces) Read(b []byte) (int, error) {
	if len(*p) == 0 {
		return 0, io.EOF
	}
	n := copy(b, (*p)[0])
	if (*p)[0] = (*p)[0][n:]; len((*p)[0]) == 0 {
		*p = (*p)[1:]
	}
	return n, nil
}

func TestResultAdds(t *testing.T) {
	a, b := aResult(), aResult()
	b.Fail(shared.CodeProcessLost, math.MaxUint32)
	b.Delivered = math.MaxUint32
	a.Add(&b)
	a.Fail(shared.CodeProcessLost, 1)
	want := []Failure{{shared.CodeOverloaded, 4}, {shared.CodeTimeout, 2}, {shared.CodeProcessLost, math.MaxUint32}}
	if !reflect.DeepEqual(a.Failures(), want) || a.Delivered != math.MaxUint32 {
		t.Errorf("got %d %v", a.Delivered, a.Failures())
	}
}

func TestHealthAnswerIsCut(t *testing.T) {
	var h HealthOK
	long := HealthOK{Nonce: 1, Failing: bytes.Repeat([]byte("x"), 5000)}
	if err := h.Parse(AppendHealthOK(nil, &long)[HeaderSize:]); err != nil || len(h.Failing) != 1024 {
		t.Errorf("%d bytes, %v", len(h.Failing), err)
	}
	if err := h.Parse(make([]byte, 8+1025)); !errors.Is(err, ErrFrame) {
		t.Errorf("longer answer: %v", err)
	}
}

func TestLaneOf(t *testing.T) {
	c := shared.NewClientID(1, 77, 5)
	if l, ok := LaneOf(KindClient, int64(c)); !ok || l != (Lane{KindClient, 77}) {
		t.Errorf("client: %v %v", l, ok)
	}
	if l, ok := LaneOf(KindService, 12); !ok || l != (Lane{KindService, 12}) {
		t.Errorf("service: %v %v", l, ok)
	}
	if _, ok := LaneOf(KindGroup, 12); ok {
		t.Error("a group has a lane")
	}
}
