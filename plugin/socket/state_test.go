package socket

import (
	"bytes"
	"net/netip"
	"reflect"
	"testing"

	"github.com/antano/antano/shared"
)

var streamStates = []streamState{
	{address: "1.2.3.4:5", decoder: decoderState{framing: shared.FramingLine, length: -1}},
	{waiting: 7, parked: [][]byte{[]byte("one"), []byte("two")}, unread: []byte("rest"), author: []byte("a"),
		decoder: decoderState{framing: shared.FramingLine, length: -1, inSkip: true}},
	{decoder: decoderState{framing: shared.FramingLength32, part: []byte("ha"), length: 4}},
	{decoder: decoderState{framing: shared.FramingLength32, header: []byte{0, 0}, length: -1}},
	{decoder: decoderState{framing: shared.FramingLength32, length: -1, skip: 9}},
}

var sourceStates = []sourceState{
	{slot: 63, from: sockaddrIPv4(9, [4]byte{1, 2, 3, 4}), local: netip.MustParseAddr("127.0.0.2"), seen: 5},
	{from: sockaddrIPv6(65535, [16]byte{15: 1}, 3), local: netip.MustParseAddr("fe80::1"), ifindex: 3, drops: 8, counted: true},
	{from: sockaddrUnix([]byte("\x00abs\x00tract"))},
	{from: sockaddrUnix([]byte("/tmp/x")), parked: [][]byte{[]byte("m")}, author: []byte("a")},
	{},
}

func TestStates(t *testing.T) {
	for _, want := range streamStates {
		b := want.append(nil)
		kind, f, err := parseKind(b)
		if err != nil || kind != kindStream {
			t.Fatal(kind, err)
		}
		got, err := parseStream(&f)
		if want.decoder.header == nil && got != nil {
			got.decoder.header = nil
		}
		if err != nil || !reflect.DeepEqual(*got, want) {
			t.Errorf("got %+v, %v; want %+v", got, err, want)
		}
	}
	for _, want := range sourceStates {
		b := want.append(nil)
		kind, f, err := parseKind(b)
		if err != nil || kind != kindSource {
			t.Fatal(kind, err)
		}
		got, err := parseSource(&f)
		if err != nil || !reflect.DeepEqual(*got, want) {
			t.Errorf("got %+v, %v; want %+v", got, err, want)
		}
	}
}

// A state is read as it was written or refused, and never makes more than it holds.
func FuzzState(f *testing.F) {
	for _, s := range streamStates {
		f.Add(s.append(nil))
	}
	for _, s := range sourceStates {
		f.Add(s.append(nil))
	}
	f.Fuzz(func(t *testing.T, state []byte) {
		kind, fields, err := parseKind(state)
		if err != nil {
			return
		}
		var again []byte
		if kind == kindStream {
			s, err := parseStream(&fields)
			if err != nil {
				return
			}
			again = s.append(nil)
			hold := budget{bound: 1 << 30}
			d := newDecoder(s.decoder.framing, 1<<20, &hold)
			d.restore(&s.decoder)
			d.decode([]byte("more\nand\x00\x00\x00\x01x"), &seen{})
			d.release()
			if hold.used.Load() != 0 {
				t.Errorf("%d bytes held", hold.used.Load())
			}
		} else {
			s, err := parseSource(&fields)
			if err != nil {
				return
			}
			again = s.append(nil)
		}
		if !bytes.Equal(again, state) {
			t.Errorf("read as %q", again)
		}
	})
}
