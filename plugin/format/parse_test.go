package format

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/antano/antano/shared"
)

// objects are the rules of the message object. Every row holds for JSON as written
// and for msgpack converted from it. Where wantErr is set, want has the id at most.
var objects = []struct {
	name, json string
	want       Envelope
	wantErr    string // a part of the sentence
}{
	{name: "message", json: `{"entity":"room","entity_id":7,"message":{"a":1}}`,
		want: Envelope{Entity: []byte("room"), EntityID: 7, ProcessID: -1, Message: []byte(`{"a":1}`)}},
	{name: "all fields", json: `{"type":"message","entity":"client","entity_id":9007199254740991,"process_id":8191,"id":"q","message":null}`,
		want: Envelope{Entity: []byte("client"), EntityID: 1<<53 - 1, ProcessID: 8191, ID: []byte(`"q"`), Message: []byte(`null`)}},
	{name: "process 0", json: `{"process_id":0,"message":""}`, want: Envelope{ProcessID: 0, Message: []byte(`""`)}},
	{name: "no entity", json: `{"message":[]}`, want: Envelope{ProcessID: -1, Message: []byte(`[]`)}},
	{name: "entity_id alone", json: `{"entity_id":3,"message":1}`, want: Envelope{EntityID: 3, ProcessID: -1, Message: []byte(`1`)}},
	{name: "integer id", json: `{"id":-9223372036854775808,"message":1}`,
		want: Envelope{ProcessID: -1, ID: []byte(`-9223372036854775808`), Message: []byte(`1`)}},
	{name: "unknown keys", json: `{"x":1,"y":{"type":[]},"message":1,"Type":"no"}`, want: Envelope{ProcessID: -1, Message: []byte(`1`)}},
	{name: "escaped key and entity", json: `{"\u0074ype":"\u006aoin","entity":"r\u006fom\n","entity_id":1}`,
		want: Envelope{Type: TypeJoin, Entity: []byte("room\n"), EntityID: 1, ProcessID: -1}},
	{name: "join", json: `{"type":"join","entity":"room","entity_id":-1,"id":0}`,
		want: Envelope{Type: TypeJoin, Entity: []byte("room"), EntityID: -1, ProcessID: -1, ID: []byte("0")}},
	{name: "leave", json: `{"type":"leave","entity":"room","entity_id":1}`,
		want: Envelope{Type: TypeLeave, Entity: []byte("room"), EntityID: 1, ProcessID: -1}},
	{name: "ping", json: `{"type":"ping"}`, want: Envelope{Type: TypePing, ProcessID: -1}},
	{name: "ping with entity", json: `{"type":"ping","entity":"x"}`, want: Envelope{Type: TypePing, Entity: []byte("x"), ProcessID: -1}},
	{name: "whoami", json: `{"type":"whoami","id":"w"}`, want: Envelope{Type: TypeWhoami, ProcessID: -1, ID: []byte(`"w"`)}},
	{name: "longest entity", json: `{"entity":"` + strings.Repeat("e", 255) + `","entity_id":1,"message":1}`,
		want: Envelope{Entity: []byte(strings.Repeat("e", 255)), EntityID: 1, ProcessID: -1, Message: []byte(`1`)}},

	{name: "empty object", json: `{}`, wantErr: "message is missing"},
	{name: "no message", json: `{"entity":"a","entity_id":1,"id":1}`, want: Envelope{ID: []byte("1")}, wantErr: "message is missing"},
	{name: "no entity_id", json: `{"entity":"a","message":1,"id":1}`, want: Envelope{ID: []byte("1")}, wantErr: "entity_id is missing"},
	{name: "join nothing", json: `{"type":"join","id":1}`, want: Envelope{ID: []byte("1")}, wantErr: "join needs both"},
	{name: "leave half", json: `{"type":"leave","entity":"a"}`, wantErr: "leave needs both"},
	{name: "join by id", json: `{"type":"join","entity_id":4}`, wantErr: "join needs both"},
	{name: "unknown type", json: `{"type":"shout","message":1,"id":1}`, want: Envelope{ID: []byte("1")}, wantErr: "type is unknown"},
	{name: "server's type", json: `{"type":"receipt","message":1}`, wantErr: "type is unknown"},
	{name: "type by case", json: `{"type":"Ping"}`, wantErr: "type is unknown"},
	{name: "type no string", json: `{"type":1,"message":1}`, wantErr: "type is unknown"},
	{name: "type null", json: `{"type":null,"message":1}`, wantErr: "type is unknown"},
	{name: "entity no string", json: `{"entity":1,"entity_id":1,"message":1}`, wantErr: "entity must be a string"},
	{name: "entity empty", json: `{"entity":"","entity_id":1,"message":1}`, wantErr: "1 to 255 bytes"},
	{name: "entity long", json: `{"entity":"` + strings.Repeat("e", 256) + `","entity_id":1,"message":1}`, wantErr: "has 256 bytes"},
	{name: "entity_id string", json: `{"entity":"a","entity_id":"1","message":1}`, wantErr: "entity_id must be an integer"},
	{name: "entity_id fraction", json: `{"entity":"a","entity_id":1.0,"message":1}`, wantErr: "entity_id must be an integer"},
	{name: "entity_id exponent", json: `{"entity":"a","entity_id":1e2,"message":1}`, wantErr: "entity_id must be an integer"},
	{name: "entity_id beyond int64", json: `{"entity":"a","entity_id":9223372036854775808,"message":1}`, wantErr: "entity_id must be an integer"},
	{name: "entity_id below int64", json: `{"entity":"a","entity_id":-9223372036854775809,"message":1}`, wantErr: "entity_id must be an integer"},
	{name: "process_id large", json: `{"process_id":8192,"message":1}`, wantErr: "0 to 8191"},
	{name: "process_id negative", json: `{"process_id":-1,"message":1}`, wantErr: "0 to 8191"},
	{name: "process_id string", json: `{"process_id":"1","message":1}`, wantErr: "0 to 8191"},
	{name: "id null", json: `{"id":null,"message":1}`, wantErr: "id must be a string or an integer"},
	{name: "id fraction", json: `{"id":1.5,"message":1}`, wantErr: "id must be a string or an integer"},
	{name: "id object", json: `{"id":{},"message":1}`, wantErr: "id must be a string or an integer"},
	{name: "id beyond int64", json: `{"id":18446744073709551615,"message":1}`, wantErr: "id must be a string or an integer"},
	{name: "id long", json: `{"id":"` + strings.Repeat("i", 1023) + `","message":1}`, wantErr: "use at most 1024"},
	{name: "key twice", json: `{"message":1,"message":1,"id":2}`, want: Envelope{ID: []byte("2")}, wantErr: `"message" is there twice`},
	{name: "id twice", json: `{"id":1,"message":1,"id":2}`, want: Envelope{ID: []byte("1")}, wantErr: `"id" is there twice`},
	{name: "escaped key twice", json: `{"type":"ping","typ\u0065":"ping"}`, wantErr: `"type" is there twice`},
	{name: "unknown key twice", json: `{"x":1,"message":1,"\u0078":1}`, wantErr: `"x" is there twice`},
	{name: "one of many keys twice", json: `{` + manyKeys(300) + `"k77":0,"message":1,"id":5}`, want: Envelope{ID: []byte("5")}, wantErr: `"k77" is there twice`},
	{name: "many keys", json: `{` + manyKeys(300) + `"message":1}`, want: Envelope{ProcessID: -1, Message: []byte("1")}},
	{name: "first problem told", json: `{"process_id":-1,"type":"x","message":1}`, wantErr: "process_id"},
}

func manyKeys(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `"k%d":%d,`, i, i)
	}
	return b.String()
}

func TestParseObject(t *testing.T) {
	for _, tc := range objects {
		t.Run(tc.name+"/json", func(t *testing.T) {
			checkParse(t, shared.FormatJSON, []byte(tc.json), &tc.want, tc.wantErr)
		})
		t.Run(tc.name+"/msgpack", func(t *testing.T) {
			want := tc.want
			if want.Message != nil {
				want.Message = toMsgpack(t, string(want.Message))
			}
			checkParse(t, shared.FormatMsgpack, toMsgpack(t, tc.json), &want, tc.wantErr)
		})
	}
}

func toMsgpack(t testing.TB, json string) []byte {
	t.Helper()
	b, err := Convert(nil, []byte(json), shared.FormatJSON, shared.FormatMsgpack)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// checkParse parses twice into the same envelope, so that reuse shows. With wantErr
// only the id is compared.
func checkParse(t *testing.T, f shared.FormatID, payload []byte, want *Envelope, wantErr string) {
	t.Helper()
	var got Envelope
	for range 2 {
		err := Parse(f, payload, &got)
		if wantErr == "" && err != nil {
			t.Fatalf("Parse(%q): %v", payload, err)
		}
		if string(got.ID) != string(want.ID) {
			t.Fatalf("Parse(%q): id %q, want %q", payload, got.ID, want.ID)
		}
		if wantErr != "" {
			checkCode(t, err, shared.CodeBadMessage, wantErr)
			continue
		}
		if got.Type != want.Type || string(got.Entity) != string(want.Entity) || got.EntityID != want.EntityID ||
			got.ProcessID != want.ProcessID || string(got.Message) != string(want.Message) {
			t.Fatalf("Parse(%q):\n got %+v\nwant %+v", payload, got, *want)
		}
	}
}

func checkCode(t *testing.T, err error, code shared.Code, part string) {
	t.Helper()
	var e *shared.Error
	if !errors.As(err, &e) || e.Code != code || !strings.Contains(e.Text, part) {
		t.Fatalf("error %v, want %s with %q", err, code, part)
	}
}

func TestParseMalformedJSON(t *testing.T) {
	deep := func(n int) string { return strings.Repeat("[", n) + strings.Repeat("]", n) }
	for _, tc := range []struct{ name, payload, id, wantErr string }{
		{"nothing", "", "", "one JSON object"},
		{"blank", " \n", "", "one JSON object"},
		{"array", `[1]`, "", "one JSON object"},
		{"string", `"hello"`, "", "one JSON object"},
		{"byte order mark", "\ufeff{}", "", "one JSON object"},
		{"cut after brace", `{`, "", "at byte 1: it ends too early"},
		{"cut in key", `{"mess`, "", "ends too early"},
		{"cut after key", `{"message"`, "", "ends too early"},
		{"cut in value", `{"id":"a","message":[1,`, `"a"`, "ends too early"},
		{"cut before brace", `{"id":"a","message":1`, `"a"`, "ends too early"},
		{"trailing comma", `{"id":3,"message":1,}`, "3", "at byte 20: a key"},
		{"no comma", `{"id":3 "message":1}`, "3", "a comma"},
		{"no colon", `{"id" 3}`, "", "a colon"},
		{"key no string", `{id:3}`, "", "a key in double quotes"},
		{"tail", `{"id":3,"message":1}x`, "3", "at byte 20: something follows"},
		{"two objects", `{"message":1}{"message":1}`, "", "something follows"},
		{"leading zero", `{"message":01}`, "", "a comma"},
		{"plus", `{"message":+1}`, "", "a value is expected"},
		{"bare minus", `{"message":-}`, "", "the number is malformed"},
		{"no fraction", `{"message":1.}`, "", "the number is malformed"},
		{"NaN", `{"message":NaN}`, "", "a value is expected"},
		{"single quotes", `{"message":'a'}`, "", "a value is expected"},
		{"half a word", `{"message":nul}`, "", "a value is expected"},
		{"raw newline", "{\"message\":\"a\nb\"}", "", "control character"},
		{"escape", `{"message":"\x41"}`, "", "the escape is unknown"},
		{"short escape", `{"message":"\u12"}`, "", "the escape is unknown"},
		{"wrong bracket", `{"message":[1}}`, "", "a comma or the closing bracket"},
		{"not UTF-8", "{\"id\":4,\"message\":\"\xff\"}", "4", "not valid UTF-8"},
		{"id not UTF-8", "{\"id\":\"\xff\",\"message\":1}", "", "not valid UTF-8"},
		{"surrogate as UTF-8", "{\"message\":\"\xed\xa0\x80\"}", "", "not valid UTF-8"},
		{"too deep", `{"id":1,"message":` + deep(513) + `}`, "1", "deeper than 512"},
		{"unknown key too deep", `{"id":1,"x":` + deep(100_000) + `}`, "1", "deeper than 512"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			checkParse(t, shared.FormatJSON, []byte(tc.payload), &Envelope{ID: []byte(tc.id)}, tc.wantErr)
		})
	}
	t.Run("deep enough", func(t *testing.T) {
		want := Envelope{ProcessID: shared.AnyProcess, Message: []byte(deep(512))}
		checkParse(t, shared.FormatJSON, []byte(` { "message" : `+deep(512)+` } `), &want, "")
	})
}

func TestParseMalformedMsgpack(t *testing.T) {
	const message = "\xa7message"
	deep := func(n int) string { return strings.Repeat("\x91", n) + "\xc0" }
	for _, tc := range []struct{ name, payload, id, wantErr string }{
		{"nothing", "", "", "one msgpack map"},
		{"array", "\x91\x01", "", "one msgpack map"},
		{"reserved byte", "\xc1", "", "one msgpack map"},
		{"no pairs", "\x81", "", "at byte 1: it ends too early"},
		{"no value", "\x81" + message, "", "ends too early"},
		{"value cut", "\x82\xa2id\x07" + message + "\xd9\x05abcd", "7", "ends too early"},
		{"number cut", "\x81" + message + "\xcf\x00", "", "ends too early"},
		{"reserved value", "\x81" + message + "\xc1", "", "0xc1"},
		{"tail", "\x82\xa2id\x07" + message + "\x01\x02", "7", "something follows"},
		{"huge map", "\xdf\xff\xff\xff\xff" + message + "\x01", "", "ends too early"},
		{"huge array", "\x81" + message + "\xdd\xff\xff\xff\xff\x01", "", "ends too early"},
		{"huge str", "\x81" + message + "\xdb\xff\xff\xff\xffa", "", "ends too early"},
		{"huge bin", "\x81" + message + "\xc6\xff\xff\xff\xffa", "", "ends too early"},
		{"huge extension", "\x81" + message + "\xc9\xff\xff\xff\xfa\x05a", "", "ends too early"},
		{"huge key", "\x81\xdb\xff\xff\xff\xffmessage", "", "ends too early"},
		{"integer key", "\x82\x01\x02\xa2id\x07", "7", "keys of a message must be UTF-8 strings"},
		{"bin key", "\x82\xc4\x07message\x02\xa2id\x07", "7", "keys of a message must be UTF-8 strings"},
		{"key not UTF-8", "\x82\xa1\xff\x02\xa2id\x07", "7", "keys of a message must be UTF-8 strings"},
		{"bin entity", "\x83\xa6entity\xc4\x01a\xa9entity_id\x01" + message + "\x01", "", "entity must be a string"},
		{"entity not UTF-8", "\x83\xa6entity\xa1\xff\xa9entity_id\x01" + message + "\x01", "", "1 to 255 bytes of UTF-8"},
		{"id not UTF-8", "\x82\xa2id\xa1\xff" + message + "\x01", "", "id must be a string"},
		{"float id", "\x82\xa2id\xcb\x3f\xf0\x00\x00\x00\x00\x00\x00" + message + "\x01", "", "id must be a string"},
		{"id too long as JSON", "\x82\xa2id\xda\x01\x00" + strings.Repeat("\x01", 256) + message + "\x01", "", "id has 1538 bytes"},
		{"too deep", "\x82\xa2id\x07" + message + deep(513), "7", "deeper than 512"},
		{"hopelessly deep", "\x82\xa2id\x07" + message + strings.Repeat("\x91", 1<<20), "7", "deeper than 512"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			checkParse(t, shared.FormatMsgpack, []byte(tc.payload), &Envelope{ID: []byte(tc.id)}, tc.wantErr)
		})
	}
	for name, value := range map[string]string{
		"deep enough":   deep(512),
		"extension":     "\xd6\xff\x00\x00\x00\x01",
		"ext 8":         "\xc7\x02\x05ab",
		"integer keys":  "\x81\x01\x02",
		"str not UTF-8": "\xa1\xff",
		"float32":       "\xca\x3f\x80\x00\x00",
	} {
		t.Run(name, func(t *testing.T) {
			want := Envelope{ProcessID: shared.AnyProcess, Message: []byte(value)}
			checkParse(t, shared.FormatMsgpack, []byte("\x81"+message+value), &want, "")
		})
	}
}

// TestParseWideMsgpack gives every width of integer, string and map that another
// encoder might choose.
func TestParseWideMsgpack(t *testing.T) {
	for _, n := range []string{
		"\x07", "\xcc\x07", "\xcd\x00\x07", "\xce\x00\x00\x00\x07", "\xcf\x00\x00\x00\x00\x00\x00\x00\x07",
		"\xd0\x07", "\xd1\x00\x07", "\xd2\x00\x00\x00\x07", "\xd3\x00\x00\x00\x00\x00\x00\x00\x07",
	} {
		for _, id := range []string{"\xa2id", "\xd9\x02id", "\xda\x00\x02id", "\xdb\x00\x00\x00\x02id"} {
			for _, head := range []string{"\x82", "\xde\x00\x02", "\xdf\x00\x00\x00\x02"} {
				want := Envelope{ProcessID: shared.AnyProcess, ID: []byte("7"), Message: []byte("\xc0")}
				checkParse(t, shared.FormatMsgpack, []byte(head+id+n+"\xa7message\xc0"), &want, "")
			}
		}
	}
}

func TestParseBare(t *testing.T) {
	for _, f := range []shared.FormatID{shared.FormatText, shared.FormatBinary} {
		for _, payload := range []string{"", "hello\n", `{"type":"ping"}`} {
			want := Envelope{ProcessID: shared.AnyProcess, Message: []byte(payload)}
			checkParse(t, f, []byte(payload), &want, "")
		}
	}
	want := Envelope{ProcessID: shared.AnyProcess, Message: []byte("\xff")}
	checkParse(t, shared.FormatBinary, []byte("\xff"), &want, "")
	checkParse(t, shared.FormatText, []byte("\xff"), &Envelope{}, "not valid UTF-8")
	checkCode(t, Parse(101, nil, &Envelope{}), shared.CodeUnsupported, "format-101")
}

func TestEnvelopeTo(t *testing.T) {
	for _, entity := range []string{"client", "service", "room"} {
		e := Envelope{Entity: []byte(entity), EntityID: 5}
		if got, want := e.To(), (shared.Address{Entity: entity, ID: 5}); got != want {
			t.Errorf("To() = %v, want %v", got, want)
		}
	}
}
