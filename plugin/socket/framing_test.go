package socket

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"reflect"
	"strings"
	"testing"

	"github.com/antano/antano/shared"
)

// seen notes what a decoder found.
type seen struct{ events []string }

func (s *seen) frame(p []byte) error {
	s.events = append(s.events, "frame "+string(p))
	return nil
}

func (s *seen) reject(code shared.Code, _ string) {
	s.events = append(s.events, "reject "+code.String())
}

// decodePieces decodes stream cut into pieces whose lengths come from cuts, over and
// over.
func decodePieces(t *testing.T, framing shared.Framing, limit int, stream, cuts []byte) (events []string, unfinished bool, err error) {
	t.Helper()
	hold := &budget{bound: math.MaxInt64}
	d := newDecoder(framing, limit, hold)
	s := &seen{}
	for i := 0; len(stream) > 0 && err == nil; i++ {
		n := len(stream)
		if len(cuts) > 0 {
			n = min(n, int(cuts[i%len(cuts)])+1)
		}
		piece := bytes.Clone(stream[:n])
		_, err = d.decode(piece, s)
		clear(piece) // what was kept must be a copy
		stream = stream[n:]
		if cap(d.part) > limit+1 || int64(cap(d.part)) != hold.used.Load() {
			t.Fatalf("holds %d bytes, accounted %d, limit %d", cap(d.part), hold.used.Load(), limit)
		}
	}
	unfinished = d.unfinished()
	d.release()
	return s.events, unfinished, err
}

func TestDecode(t *testing.T) {
	const line, length = shared.FramingLine, shared.FramingLength32
	long := strings.Repeat("l", 11)
	for _, c := range []struct {
		name       string
		framing    shared.Framing
		stream     string
		want       []string
		unfinished bool
		err        error
	}{
		{"lines", line, "a\nbb\r\n\n\r\nc\r\r\n", []string{"frame a", "frame bb", "frame c\r"}, false, nil},
		{"open line", line, "a\nb", []string{"frame a"}, true, nil},
		{"line at the limit", line, long[:10] + "\n" + long[:10] + "\r\n", []string{"frame " + long[:10], "frame " + long[:10]}, false, nil},
		{"line over the limit", line, long + "\na\n" + long + long + "\r\nb\n", []string{"reject too_large", "frame a", "reject too_large", "frame b"}, false, nil},
		{"lengths", length, frame32("a") + frame32("") + frame32("bb\n"), []string{"frame a", "frame bb\n"}, false, nil},
		{"open header", length, frame32("a") + "\x00\x00", []string{"frame a"}, true, nil},
		{"open frame", length, "\x00\x00\x00\x02x", nil, true, nil},
		{"only a header", length, "\x00\x00\x00\x02", nil, true, nil},
		{"length at the limit", length, frame32(long[:10]), []string{"frame " + long[:10]}, false, nil},
		{"length over the limit", length, frame32(long) + frame32("a"), []string{"reject too_large", "frame a"}, false, nil},
		{"largest length", length, "\x04\x00\x00\x00abc", []string{"reject too_large"}, false, nil},
		{"absurd length", length, frame32("a") + "\x04\x00\x00\x01abc", []string{"frame a", "reject too_large"}, false, errAbsurdLength},
	} {
		t.Run(c.name, func(t *testing.T) {
			for cut := range 30 {
				events, unfinished, err := decodePieces(t, c.framing, 10, []byte(c.stream), []byte{byte(cut)})
				if !reflect.DeepEqual(events, c.want) || unfinished != c.unfinished || !errors.Is(err, c.err) {
					t.Fatalf("pieces of %d: got %q, unfinished %v, %v; want %q", cut+1, events, unfinished, err, c.want)
				}
			}
		})
	}
}

// FuzzFraming: however a stream is cut, the frames are the same.
func FuzzFraming(f *testing.F) {
	for _, stream := range []string{"a\nb\r\n\n", frame32("abc") + frame32(""), strings.Repeat("x", 50) + "\ny\n", frame32(strings.Repeat("x", 50)) + frame32("y"), "\xff\xff\xff\xff"} {
		f.Add([]byte(stream), []byte{0, 2, 5}, byte(20), stream[0] == 0 || stream[0] == 0xff)
	}
	f.Fuzz(func(t *testing.T, stream, cuts []byte, limit byte, length bool) {
		framing := shared.FramingLine
		if length {
			framing = shared.FramingLength32
		}
		bound := int(limit) + 1
		whole, open, err := decodePieces(t, framing, bound, stream, nil)
		cut, cutOpen, cutErr := decodePieces(t, framing, bound, stream, cuts)
		if !reflect.DeepEqual(whole, cut) || open != cutOpen || !errors.Is(cutErr, err) {
			t.Fatalf("whole: %q %v %v\ncut:   %q %v %v", whole, open, err, cut, cutOpen, cutErr)
		}
		for _, e := range whole {
			if len(e) > len("frame ")+bound && !strings.HasPrefix(e, "reject ") {
				t.Fatalf("a frame of %d bytes with limit %d", len(e), bound)
			}
		}
	})
}

// A client that announces much and sends little costs little.
func TestMemoryFollowsWhatArrived(t *testing.T) {
	hold := &budget{bound: math.MaxInt64}
	for framing, start := range map[shared.Framing]string{shared.FramingLength32: "\x00\x10\x00\x00abc", shared.FramingLine: "abc"} {
		d := newDecoder(framing, 1<<20, hold)
		if _, err := d.decode([]byte(start), &seen{}); err != nil || cap(d.part) > 64 {
			t.Fatalf("%s: holds %d bytes, %v", framing, cap(d.part), err)
		}
	}
}

func TestIncompleteMessagesAreBoundedTogether(t *testing.T) {
	hold := &budget{bound: 5000}
	for _, framing := range []shared.Framing{shared.FramingLength32, shared.FramingLine} {
		var decoders []*decoder
		s := &seen{}
		message := strings.Repeat("m", 1000)
		stream, end := frame32(message), frame32("next")
		if framing == shared.FramingLine {
			stream, end = message+"\n", "next\n"
		}
		for range 10 {
			d := newDecoder(framing, 2000, hold)
			decoders = append(decoders, &d)
			for _, piece := range []string{stream[:10], stream[10:900]} {
				if _, err := d.decode([]byte(piece), s); err != nil {
					t.Fatal(err)
				}
			}
		}
		refused := len(s.events)
		if refused == 0 || hold.used.Load() > hold.bound {
			t.Fatalf("%s: %d refused, %d bytes held of %d", framing, refused, hold.used.Load(), hold.bound)
		}
		for _, d := range decoders {
			if _, err := d.decode([]byte(stream[900:]+end), s); err != nil {
				t.Fatal(err)
			}
		}
		counts := map[string]int{}
		for _, e := range s.events {
			counts[e]++
		}
		if counts["frame next"] != 10 || counts["frame "+message] == 0 || counts["frame "+message]+counts["reject overloaded"] != 10 {
			t.Fatalf("%s: refused %d, then %v", framing, refused, counts)
		}
		if hold.used.Load() != 0 {
			t.Fatalf("%s: %d bytes still accounted", framing, hold.used.Load())
		}
	}
}

func TestEncode(t *testing.T) {
	for _, c := range []struct {
		framing shared.Framing
		format  shared.FormatID
		in      string
		want    string // "" for unsupported
	}{
		{shared.FramingLine, shared.FormatJSON, "{\"a\":\r\n 1,\n\"b\":2\n}", "{\"a\":   1, \"b\":2 }\n"},
		{shared.FramingLine, shared.FormatJSON, "1", "1\n"},
		{shared.FramingLine, shared.FormatText, "hé\rllo", "hé\rllo\n"},
		{shared.FramingLine, shared.FormatText, "two\nlines", ""},
		{shared.FramingLine, shared.FormatText, "cut\r", ""},
		{shared.FramingLength32, shared.FormatText, "two\nlines", frame32("two\nlines")},
		{shared.FramingLength32, shared.FormatMsgpack, "\x80", "\x00\x00\x00\x01\x80"},
	} {
		in := []byte(c.in)
		got, err := encoder(c.framing, c.format)([]byte("before"), in)
		if string(in) != c.in {
			t.Fatalf("%q was changed", c.in)
		}
		if c.want == "" {
			if e, ok := errors.AsType[*shared.Error](err); !ok || e.Code != shared.CodeUnsupported {
				t.Errorf("%q: got %q, %v; want unsupported", c.in, got, err)
			}
			continue
		}
		if err != nil || string(got) != "before"+c.want {
			t.Errorf("%q: got %q, %v; want %q", c.in, got, err, c.want)
		}
	}
}

func BenchmarkDecode(b *testing.B) {
	for _, framing := range []shared.Framing{shared.FramingLine, shared.FramingLength32} {
		b.Run(fmt.Sprint(framing), func(b *testing.B) {
			one := frame32(strings.Repeat("m", 124))
			if framing == shared.FramingLine {
				one = strings.Repeat("m", 127) + "\n"
			}
			stream := bytes.Repeat([]byte(one), 128)
			d := newDecoder(framing, 1<<20, &budget{bound: 1 << 30})
			count := &counter{}
			b.SetBytes(int64(len(stream)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := d.decode(stream, count); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

type counter struct{ n int }

func (c *counter) frame([]byte) error         { c.n++; return nil }
func (c *counter) reject(shared.Code, string) {}
