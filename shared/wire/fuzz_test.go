package wire

import (
	"bytes"
	"errors"
	"io"
	"testing"
)

// FuzzNext cuts any bytes into frames: nothing is lost, invented or read past.
func FuzzNext(f *testing.F) {
	f.Add([]byte{0, 0, 0, 1, 14})
	f.Add(AppendSlots(AppendMessage(nil, &aMessage), TypeSlots, 5))
	f.Add([]byte{255, 255, 255, 255, 0})
	f.Fuzz(func(t *testing.T, data []byte) {
		var cut []byte
		rest := data
		for {
			fr, n, need, err := Next(rest)
			if err != nil {
				if !errors.Is(err, ErrFrame) || n != 0 {
					t.Fatalf("n %d, %v", n, err)
				}
				break
			}
			if n == 0 {
				if need != 0 && need <= len(rest) {
					t.Fatalf("needs %d of %d bytes", need, len(rest))
				}
				break
			}
			if len(fr.Raw) != n || len(fr.Body) != n-HeaderSize || cap(fr.Raw) != n {
				t.Fatalf("frame of %d bytes, raw %d, body %d", n, len(fr.Raw), len(fr.Body))
			}
			cut = append(cut, fr.Raw...)
			rest = rest[n:]
		}
		if !bytes.Equal(cut, data[:len(data)-len(rest)]) {
			t.Fatal("frames differ from the input")
		}
		readSame(t, data, cut)
	})
}

// readSame reads data in small pieces and expects the frames in want.
func readSame(t *testing.T, data, want []byte) {
	r := NewReader(&chunked{data, 7})
	var got []byte
	for {
		fr, err := r.Next()
		if err != nil {
			if len(got) == len(data) && err != io.EOF {
				t.Fatalf("at the end: %v", err)
			}
			break
		}
		got = append(got, fr.Raw...)
	}
	if !bytes.Equal(got, want) {
		t.Fatal("the reader cuts differently")
	}
}

type chunked struct {
	data []byte
	most int
}

func (c *chunked) Read(p []byte) (int, error) {
	if len(c.data) == 0 {
		return 0, io.EOF
	}
	n := copy(p[:min(len(p), c.most)], c.data)
	c.data = c.data[n:]
	return n, nil
}

// FuzzMessage: what parses is written back as the same bytes.
func FuzzMessage(f *testing.F) {
	f.Add(AppendMessage(nil, &aMessage)[HeaderSize:])
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, body []byte) {
		var m Message
		if err := m.Parse(body); err != nil {
			if !errors.Is(err, ErrFrame) {
				t.Fatal(err)
			}
			return
		}
		frame := AppendMessage(nil, &m)
		if !bytes.Equal(frame[HeaderSize:], body) {
			t.Fatalf("got %x want %x", frame[HeaderSize:], body)
		}
		if len(frame) != m.FrameSize() {
			t.Fatalf("%d bytes, said %d", len(frame), m.FrameSize())
		}
	})
}

// FuzzControl: what parses as any other type is written back as the same bytes.
func FuzzControl(f *testing.F) {
	r := aResult()
	for _, frame := range [][]byte{
		AppendHello(nil, &Hello{Version: 1, Process: 2}),
		AppendWelcome(nil, &Welcome{Version: 1}),
		AppendResult(nil, &r),
		AppendGroup(nil, TypeSubscribe, &Group{1, 2, []byte("room")}),
		AppendCredit(nil, &Credit{Lane{KindClient, 3}, 4}),
		AppendPause(nil, TypePause, &Pause{5, 6, 7}),
		AppendHealthOK(nil, &HealthOK{1, []byte("x")}),
		AppendSlots(nil, TypeSlots, 1),
		AppendSequences(nil, Sequences{1, 2}),
		AppendTransfer(nil, &Transfer{Hello{Version: 1, Process: 2}, 3}),
		AppendMoveOut(nil, &MoveOut{1, ScopeAll, 0}),
		AppendMove(nil, TypeMoveCut, 1),
		AppendSource(nil, TypeSource, &Source{1, 2, []byte("x")}),
		AppendMember(nil, TypeMember, &Member{1, 2, []byte("room")}),
		AppendSenderPause(nil, TypePauseSender, &SenderPause{1, 2, 3}),
		AppendRange(nil, &Range{1, Sequences{2, 3}}),
		AppendHold(nil, TypeHold, HoldAll),
		AppendAck(nil, &Ack{1, 2}),
		AppendMetric(nil, &Metric{true, -5, []byte("queue_depth")}),
	} {
		f.Add(frame[4], frame[HeaderSize:])
	}
	f.Fuzz(func(t *testing.T, typ uint8, body []byte) {
		v, err := parseAs(Type(typ), body)
		if err != nil {
			if !errors.Is(err, ErrFrame) {
				t.Fatal(err)
			}
			return
		}
		if again := appendAs(Type(typ), v); again != nil && !bytes.Equal(again[HeaderSize:], known(Type(typ), body)) {
			t.Fatalf("type %d: got %x want %x", typ, again[HeaderSize:], body)
		}
	})
}

// known is the part of a body that this version knows.
func known(t Type, body []byte) []byte {
	if t == TypeWelcome {
		return body[:welcomeBody]
	}
	return body
}

func appendAs(t Type, v any) []byte {
	switch v := v.(type) {
	case Hello:
		return AppendHello(nil, &v)
	case Welcome:
		return AppendWelcome(nil, &v)
	case Message:
		return AppendMessage(nil, &v)
	case Result:
		return AppendResult(nil, &v)
	case Group:
		return AppendGroup(nil, t, &v)
	case Credit:
		return AppendCredit(nil, &v)
	case Pause:
		return AppendPause(nil, t, &v)
	case uint64:
		return AppendSlots(nil, t, v)
	case HealthOK:
		return AppendHealthOK(nil, &v)
	case Sequences:
		return AppendSequences(nil, v)
	case Transfer:
		return AppendTransfer(nil, &v)
	case MoveOut:
		return AppendMoveOut(nil, &v)
	case Source:
		return AppendSource(nil, t, &v)
	case Member:
		return AppendMember(nil, t, &v)
	case SenderPause:
		return AppendSenderPause(nil, t, &v)
	case Range:
		return AppendRange(nil, &v)
	case Hold:
		return AppendHold(nil, t, v)
	case Ack:
		return AppendAck(nil, &v)
	case Metric:
		return AppendMetric(nil, &v)
	}
	return nil
}
