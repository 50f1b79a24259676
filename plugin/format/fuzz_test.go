package format

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/antano/antano/shared"
)

// FuzzJSONScan compares the scanner's verdict with encoding/json, which lets pass
// what is not UTF-8 and nests deeper.
func FuzzJSONScan(f *testing.F) {
	f.Fuzz(func(t *testing.T, b []byte) {
		i, why := scanJSON(b, 0)
		if why == "" && skipSpace(b, i) < len(b) {
			why = faultTail
		}
		if valid := json.Valid(b); why != faultDeep && valid != (why == "") {
			t.Fatalf("%q: %q at %d, json.Valid says %v", b, why, i, valid)
		}
		if why == faultDeep && bytes.Count(b, []byte("["))+bytes.Count(b, []byte("{")) <= maxDepth {
			t.Fatalf("%q: too deep", b)
		}
		if i < 0 || i > len(b) {
			t.Fatalf("%q: index %d", b, i)
		}
		if err := Check(fJSON, b); (err == nil) != (why == "" && utf8.Valid(b)) {
			t.Fatalf("%q: Check says %v", b, err)
		}
	})
}

// FuzzParseJSON compares an accepted object with encoding/json, and the verdict with
// the one on the same object as msgpack.
func FuzzParseJSON(f *testing.F) {
	f.Fuzz(func(t *testing.T, b []byte) {
		var e Envelope
		err := Parse(fJSON, b, &e)
		if e.ID != nil && !validID(e.ID) {
			t.Fatalf("%q: id %q", b, e.ID)
		}
		if err == nil {
			checkAgainstJSON(t, b, &e)
		}
		packed, convertErr := Convert(nil, b, fJSON, fMsgpack)
		if convertErr != nil || len(e.ID) > shared.MaxMessageID/6 || err != nil && strings.Contains(err.Error(), "use at most") {
			return // numbers beyond float64, or an id whose length changes
		}
		var p Envelope
		packedErr := Parse(fMsgpack, packed, &p)
		if (err == nil) != (packedErr == nil) {
			t.Fatalf("%q: as JSON %v, as msgpack %v", b, err, packedErr)
		}
		if err == nil {
			checkSame(t, b, &e, &p)
		}
	})
}

// checkAgainstJSON compares e with what encoding/json reads from the same bytes.
func checkAgainstJSON(t *testing.T, b []byte, e *Envelope) {
	t.Helper()
	var m map[string]json.RawMessage
	if err := json.Unmarshal(b, &m); err != nil {
		t.Fatalf("%q: accepted, but %v", b, err)
	}
	var want struct {
		Type, Entity string
		EntityID     int64
		ProcessID    int
	}
	want.Type, want.ProcessID = "message", shared.AnyProcess
	for key, into := range map[string]any{"type": &want.Type, "entity": &want.Entity, "entity_id": &want.EntityID, "process_id": &want.ProcessID} {
		if raw, ok := m[key]; ok {
			if err := json.Unmarshal(raw, into); err != nil {
				t.Fatalf("%q: %s: %v", b, key, err)
			}
		}
	}
	if e.Type.String() != want.Type || string(e.Entity) != want.Entity || e.EntityID != want.EntityID || e.ProcessID != want.ProcessID ||
		!bytes.Equal(e.ID, m["id"]) || !bytes.Equal(e.Message, m["message"]) {
		t.Fatalf("%q:\n got %+v\nwant %+v", b, e, want)
	}
}

// checkSame compares an object parsed as JSON with the same one parsed as msgpack.
func checkSame(t *testing.T, b []byte, e, p *Envelope) {
	t.Helper()
	if e.Type != p.Type || !bytes.Equal(e.Entity, p.Entity) || e.EntityID != p.EntityID || e.ProcessID != p.ProcessID ||
		(e.ID == nil) != (p.ID == nil) || (e.Message == nil) != (p.Message == nil) {
		t.Fatalf("%q:\n json %+v\nmsgpack %+v", b, e, p)
	}
	if e.ID != nil && !sameJSON(t, e.ID, p.ID) {
		t.Fatalf("%q: id %s, as msgpack %s", b, e.ID, p.ID)
	}
	if e.Message != nil {
		back, err := Convert(nil, p.Message, fMsgpack, fJSON)
		if err != nil || !sameJSON(t, back, e.Message) {
			t.Fatalf("%q: message %s, as msgpack %s, %v", b, e.Message, back, err)
		}
	}
}

// FuzzParseMsgpack looks for panics and for what an accepted object must be: one
// that AppendMessage carries, and that is the same as JSON where it can be.
func FuzzParseMsgpack(f *testing.F) {
	f.Fuzz(func(t *testing.T, b []byte) {
		var e Envelope
		err := Parse(fMsgpack, b, &e)
		if e.ID != nil && !validID(e.ID) {
			t.Fatalf("%x: id %q", b, e.ID)
		}
		if err != nil {
			return
		}
		if len(e.Entity) > shared.MaxEntityName || !utf8.Valid(e.Entity) || e.ProcessID < shared.AnyProcess || e.ProcessID > shared.MaxProcessID {
			t.Fatalf("%x: accepted as %+v", b, e)
		}
		if e.Message == nil {
			return
		}
		out := AppendMessage(nil, fMsgpack, e.To(), shared.Address{Entity: "client", ID: 1}, e.ID, e.Message)
		if rest, why := skipMsgpack(out, maxDepth+1); why != "" || len(rest) > 0 {
			t.Fatalf("%x: built %x: %s before %x", b, out, why, rest)
		}
	})
}

// FuzzConvert takes its input as each format in turn and looks at the way there and
// back.
func FuzzConvert(f *testing.F) {
	f.Fuzz(func(t *testing.T, b []byte) {
		if packed, err := Convert(nil, b, fJSON, fMsgpack); err == nil {
			back, err := Convert(nil, packed, fMsgpack, fJSON)
			if err != nil || !sameJSON(t, back, b) {
				t.Fatalf("%q: as msgpack %x, back %q, %v", b, packed, back, err)
			}
			again, err := Convert(nil, back, fJSON, fMsgpack)
			if err != nil || !bytes.Equal(again, packed) {
				t.Fatalf("%q: as msgpack %x, again %x, %v", b, packed, again, err)
			}
		} else if json.Valid(b) && utf8.Valid(b) && !strings.Contains(err.Error(), string(faultRange)) && !strings.Contains(err.Error(), string(faultDeep)) {
			t.Fatalf("%q: %v", b, err)
		}
		for _, to := range []shared.FormatID{fText, fBinary} {
			out, err := Convert(nil, b, fJSON, to)
			if err == nil && b[skipSpace(b, 0)] == '[' && !sameJSON(t, out, b) {
				t.Fatalf("%q: as %s %q", b, to, out)
			}
		}
		fuzzMsgpackToJSON(t, b)
		fuzzBare(t, b)
	})
}

func fuzzMsgpackToJSON(t *testing.T, b []byte) {
	text, err := Convert(nil, b, fMsgpack, fJSON)
	if err != nil {
		return
	}
	if !json.Valid(text) || !utf8.Valid(text) {
		t.Fatalf("%x: as JSON %q", b, text)
	}
	packed, err := Convert(nil, text, fJSON, fMsgpack)
	if err != nil {
		if strings.Contains(err.Error(), string(faultDeep)) {
			return // bytes on the last level are an object in JSON, one level more
		}
		t.Fatalf("%x: as JSON %q, back %v", b, text, err)
	}
	again, err := Convert(nil, packed, fMsgpack, fJSON)
	if err != nil || !bytes.Equal(again, text) {
		t.Fatalf("%x: as JSON %q, again %q, %v", b, text, again, err)
	}
}

func fuzzBare(t *testing.T, b []byte) {
	for _, from := range []shared.FormatID{fText, fBinary} {
		for _, over := range []shared.FormatID{fJSON, fMsgpack} {
			out, err := Convert(nil, b, from, over)
			if err != nil && from == fText && !utf8.Valid(b) {
				continue
			}
			back, backErr := Convert(nil, out, over, from)
			if err != nil || backErr != nil || !bytes.Equal(back, b) {
				t.Fatalf("%q from %s over %s: %v, back %q, %v", b, from, over, err, back, backErr)
			}
		}
	}
}
