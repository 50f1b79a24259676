package format

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/antano/antano/shared"
)

// build appends the same object in either format.
type build func(dst []byte, f shared.FormatID) []byte

func TestBuild(t *testing.T) {
	room, from := shared.Address{Entity: "room", ID: -7}, shared.ClientID(1<<53-1).Address()
	who := shared.Identity{ServiceID: 3, ProcessID: 12}
	value := func(f shared.FormatID) []byte {
		out, err := Convert(nil, []byte(`{"a":[1,"x"]}`), shared.FormatJSON, f)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	message := func(to shared.Address, inReplyTo string) build {
		return func(dst []byte, f shared.FormatID) []byte {
			return AppendMessage(dst, f, to, from, []byte(inReplyTo), value(f))
		}
	}
	const fromJSON = `"from":{"entity":"client","entity_id":9007199254740991}`
	for _, tc := range []struct {
		name  string
		build build
		want  string
	}{
		{"message", message(room, ""), `{"type":"message","entity":"room","entity_id":-7,` + fromJSON + `,"message":{"a":[1,"x"]}}`},
		{"reply", message(from, `"q\u0041\n"`), `{"type":"message","entity":"client","entity_id":9007199254740991,` + fromJSON + `,"in_reply_to":"qA\n","message":{"a":[1,"x"]}}`},
		{"reply to number", message(room, `-12`), `{"type":"message","entity":"room","entity_id":-7,` + fromJSON + `,"in_reply_to":-12,"message":{"a":[1,"x"]}}`},
		{"odd entity", message(shared.Address{Entity: "a\"\\\x01\u2028ü", ID: 1}, ""), `{"type":"message","entity":"a\"\\\u0001` + "\u2028" + `ü","entity_id":1,` + fromJSON + `,"message":{"a":[1,"x"]}}`},
		{"entity not UTF-8", message(shared.Address{Entity: "a\xffb", ID: 1}, ""), `{"type":"message","entity":"a` + "\ufffd" + `b","entity_id":1,` + fromJSON + `,"message":{"a":[1,"x"]}}`},
		{"id that is none", message(room, `{}`), `{"type":"message","entity":"room","entity_id":-7,` + fromJSON + `,"message":{"a":[1,"x"]}}`},
		{"id that breaks out", message(room, `1,"x":2`), `{"type":"message","entity":"room","entity_id":-7,` + fromJSON + `,"message":{"a":[1,"x"]}}`},
		{"receipt", func(dst []byte, f shared.FormatID) []byte {
			return AppendReceipt(dst, f, []byte("1"), shared.Receipt{Delivered: 3})
		}, `{"type":"receipt","id":1,"delivered":3}`},
		{"receipt with failures", func(dst []byte, f shared.FormatID) []byte {
			return AppendReceipt(dst, f, []byte(`"r"`), shared.Receipt{Delivered: 1000, Failed: map[shared.Code]int{
				shared.CodeTimeout: 2, shared.CodeOverloaded: 70000, shared.CodeDenied: 0, 200: 1}})
		}, `{"type":"receipt","id":"r","delivered":1000,"failed":{"overloaded":70000,"timeout":2}}`},
		{"receipt with empty failures", func(dst []byte, f shared.FormatID) []byte {
			return AppendReceipt(dst, f, []byte(`2`), shared.Receipt{Failed: map[shared.Code]int{shared.CodeTimeout: 0}})
		}, `{"type":"receipt","id":2,"delivered":0}`},
		{"joined", func(dst []byte, f shared.FormatID) []byte { return AppendJoined(dst, f, []byte(`4`), room) },
			`{"type":"joined","id":4,"entity":"room","entity_id":-7}`},
		{"left", func(dst []byte, f shared.FormatID) []byte { return AppendLeft(dst, f, nil, room) },
			`{"type":"left","entity":"room","entity_id":-7}`},
		{"pong", func(dst []byte, f shared.FormatID) []byte { return AppendPong(dst, f, nil) }, `{"type":"pong"}`},
		{"pong with id", func(dst []byte, f shared.FormatID) []byte { return AppendPong(dst, f, []byte(`"ü"`)) }, `{"type":"pong","id":"ü"}`},
		{"client", func(dst []byte, f shared.FormatID) []byte { return AppendClient(dst, f, []byte(`5`), 77, who) },
			`{"type":"client","id":5,"entity":"client","entity_id":77,"service_id":3,"process_id":12}`},
		{"error", func(dst []byte, f shared.FormatID) []byte {
			return AppendError(dst, f, nil, shared.Errorf(shared.CodeBadMessage, "say \"more\"\nor \xff"))
		}, `{"type":"error","code":"bad_message","error":"say \"more\"\nor ` + "\ufffd" + `"}`},
		{"error with id", func(dst []byte, f shared.FormatID) []byte {
			return AppendError(dst, f, []byte(`9`), shared.Errorf(shared.CodeTimeout, "t"))
		}, `{"type":"error","id":9,"code":"timeout","error":"t"}`},
	} {
		t.Run(tc.name, func(t *testing.T) { checkBuild(t, tc.build, tc.want) })
	}
}

// checkBuild compares the JSON, and the msgpack converted to it. Both must leave
// alone what dst had before.
func checkBuild(t *testing.T, build build, want string) {
	t.Helper()
	got := build([]byte("{"), shared.FormatJSON)
	if got := strings.Replace(string(got[1:]), `q\u0041`, "qA", 1); got != want || !json.Valid([]byte(got)) {
		t.Errorf("json:\n got %s\nwant %s", got, want)
	}
	packed := build([]byte("{"), shared.FormatMsgpack)
	asJSON, err := Convert(nil, packed[1:], shared.FormatMsgpack, shared.FormatJSON)
	if err != nil || string(asJSON) != want {
		t.Errorf("msgpack:\n got %s, %v\nwant %s", asJSON, err, want)
	}
	if got[0] != '{' || packed[0] != '{' {
		t.Error("dst was overwritten")
	}
}

func TestBuildBare(t *testing.T) {
	for _, f := range []shared.FormatID{shared.FormatText, shared.FormatBinary} {
		got := AppendMessage([]byte("a"), f, shared.Address{Entity: "room", ID: 1}, shared.Address{}, []byte("1"), []byte("hi"))
		if string(got) != "ahi" {
			t.Errorf("%s message: %q", f, got)
		}
		for _, got := range [][]byte{
			AppendReceipt([]byte("a"), f, []byte("1"), shared.Receipt{}), AppendJoined([]byte("a"), f, nil, shared.Address{}),
			AppendLeft([]byte("a"), f, nil, shared.Address{}), AppendPong([]byte("a"), f, nil),
			AppendClient([]byte("a"), f, nil, 1, shared.Identity{}), AppendError([]byte("a"), f, nil, &shared.Error{}),
		} {
			if string(got) != "a" {
				t.Errorf("%s: %q, want nothing appended", f, got)
			}
		}
	}
}

func TestOneLine(t *testing.T) {
	for in, want := range map[string]string{
		`{"a":1}`:                                  `{"a":1}`,
		"{\n \"a\":\r\n[1,\r2]\n}":                 `{  "a":  [1, 2] }`,
		`"a\nb\r"`:                                 `"a\nb\r"`,
		strings.Repeat("\n", 100) + "1\r\r\n":      strings.Repeat(" ", 100) + "1   ",
		"[\"" + strings.Repeat("x", 100) + "\"\n]": "[\"" + strings.Repeat("x", 100) + "\" ]",
	} {
		if got := OneLine([]byte("\n"), []byte(in)); string(got) != "\n"+want {
			t.Errorf("OneLine(%q) = %q, want %q behind what was there", in, got, want)
		}
	}
}

func TestHasNewline(t *testing.T) {
	for in, want := range map[string]bool{
		"": false, "hello": false, "a\rb": false, "a\n": true, "\nb": true, "a\nb": true, "a\r": true, "a\r\n": true,
	} {
		if HasNewline([]byte(in)) != want {
			t.Errorf("HasNewline(%q) = %v", in, !want)
		}
	}
}

func TestEncode(t *testing.T) {
	got, err := Encode(map[string]any{"a": "<&>\n", "b": json.RawMessage(`[1, 2]`)})
	if err != nil || string(got) != `{"a":"<&>\n","b":[1,2]}` {
		t.Errorf("got %s, %v", got, err)
	}
	_, err = Encode(map[string]any{"f": func() {}})
	checkCode(t, err, shared.CodeUnsupported, "map[string]interface {} cannot be encoded")
}
