package format

import (
	"strings"
	"testing"

	"github.com/antano/antano/shared"
)

// object128 is a message object of 128 bytes.
var object128 = func() []byte {
	const head, tail = `{"entity":"client","entity_id":35188667056129,"id":17,"message":{"text":"`, `"}}`
	return []byte(head + strings.Repeat("x", 128-len(head)-len(tail)) + tail)
}()

var benchFrom = shared.Address{Entity: shared.EntityClient, ID: 35188667056130}

// codec parses an object and builds what the destination gets, formats being equal.
func codec(t testing.TB, f shared.FormatID, payload []byte) func() {
	var env Envelope
	out := make([]byte, 0, 4096)
	return func() {
		if err := Parse(f, payload, &env); err != nil {
			t.Fatal(err)
		}
		to := shared.Address{Entity: shared.EntityClient, ID: env.EntityID}
		out = AppendMessage(out[:0], f, to, benchFrom, env.ID, env.Message)
	}
}

func TestCodecAllocates(t *testing.T) {
	payloads := map[shared.FormatID][]byte{
		fJSON: object128, fMsgpack: toMsgpack(t, string(object128)), fText: []byte("hello"), fBinary: []byte("hello"),
	}
	for f, payload := range payloads {
		if n := testing.AllocsPerRun(100, codec(t, f, payload)); n != 0 {
			t.Errorf("%s: %v allocations", f, n)
		}
	}
	escaped := []byte(`{"x":1,"\u0065ntity":"r\u006fom","entity_id":1,"id":"\u0041","message":1}`)
	if n := testing.AllocsPerRun(100, codec(t, fJSON, escaped)); n != 0 {
		t.Errorf("escaped: %v allocations", n)
	}
}

func TestConvertAllocates(t *testing.T) {
	value := []byte(`{"text":"hello \"you\"","n":[1,2.5,18446744073709551615,null],"b":{"$b64":"aGVsbG8="}}`)
	packed := toMsgpack(t, string(value))
	out := make([]byte, 0, 4096)
	for _, tc := range []struct {
		in       []byte
		from, to shared.FormatID
	}{{value, fJSON, fMsgpack}, {packed, fMsgpack, fJSON}, {value, fJSON, fText}, {packed, fMsgpack, fBinary}, {value, fText, fJSON}} {
		n := testing.AllocsPerRun(100, func() {
			if _, err := Convert(out, tc.in, tc.from, tc.to); err != nil {
				t.Fatal(err)
			}
		})
		if n != 0 {
			t.Errorf("%s to %s: %v allocations", tc.from, tc.to, n)
		}
	}
}

func BenchmarkParse(b *testing.B) {
	for f, payload := range map[shared.FormatID][]byte{fJSON: object128, fMsgpack: toMsgpack(b, string(object128))} {
		b.Run(f.String(), func(b *testing.B) {
			var env Envelope
			b.SetBytes(int64(len(payload)))
			b.ReportAllocs()
			for b.Loop() {
				if err := Parse(f, payload, &env); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkAppendMessage(b *testing.B) {
	for _, f := range []shared.FormatID{fJSON, fMsgpack} {
		b.Run(f.String(), func(b *testing.B) {
			value := []byte(`"` + strings.Repeat("x", 64) + `"`)
			var out []byte
			b.ReportAllocs()
			for b.Loop() {
				out = AppendMessage(out[:0], f, benchFrom, benchFrom, []byte("17"), value)
			}
		})
	}
}

// BenchmarkCodec is parse and build together: at most 1 µs for a message of 128 bytes.
func BenchmarkCodec(b *testing.B) {
	for f, payload := range map[shared.FormatID][]byte{fJSON: object128, fMsgpack: toMsgpack(b, string(object128))} {
		b.Run(f.String(), func(b *testing.B) {
			run := codec(b, f, payload)
			b.ReportAllocs()
			for b.Loop() {
				run()
			}
		})
	}
}

func BenchmarkConvert(b *testing.B) {
	small := `{"text":"hello","n":[1,2.5,-300,null],"ok":true}`
	large := `[` + strings.Repeat(small+`,`, 1000) + `{"$b64":"aGVsbG8="}]`
	for name, json := range map[string]string{"small": small, "large": large} {
		packed := toMsgpack(b, json)
		for _, tc := range []struct {
			in       []byte
			from, to shared.FormatID
		}{{[]byte(json), fJSON, fMsgpack}, {packed, fMsgpack, fJSON}} {
			b.Run(name+"/"+tc.from.String()+"-"+tc.to.String(), func(b *testing.B) {
				var out []byte
				b.SetBytes(int64(len(tc.in)))
				b.ReportAllocs()
				for b.Loop() {
					var err error
					if out, err = Convert(out[:0], tc.in, tc.from, tc.to); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

// BenchmarkParseHostile is what a payload made to be slow costs.
func BenchmarkParseHostile(b *testing.B) {
	for name, payload := range map[string]string{
		"keys": `{` + manyKeys(50_000) + `"message":1}`,
		"deep": `{"message":` + nested(512) + `}`,
	} {
		b.Run(name, func(b *testing.B) {
			var env Envelope
			b.SetBytes(int64(len(payload)))
			for b.Loop() {
				if err := Parse(fJSON, []byte(payload), &env); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
