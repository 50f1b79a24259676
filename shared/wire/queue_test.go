package wire

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
)

// fakeSink takes as much as its script says and blocks in Write while it is shut.
type fakeSink struct {
	mu   sync.Mutex
	got  []byte
	take func() int // bytes that the next TryWrite takes; nil: all
	err  error
	gate chan struct{} // Write waits for it; nil: it does not
}

func (s *fakeSink) TryWrite(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := len(p)
	if s.take != nil {
		n = min(n, s.take())
	}
	s.got = append(s.got, p[:n]...)
	return n, s.err
}

func (s *fakeSink) Write(p []byte) (int, error) {
	if s.gate != nil {
		<-s.gate
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return 0, s.err
	}
	s.got = append(s.got, p...)
	return len(p), nil
}

func (s *fakeSink) bytes() []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	return bytes.Clone(s.got)
}

func put(q *Queue, b string, c Charge) error {
	return q.Put(len(b), c, func(dst []byte) []byte { return append(dst, b...) })
}

// running runs q until the test ends and returns what Run returned.
func running(t *testing.T, q *Queue) <-chan error {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	var wg sync.WaitGroup
	wg.Go(func() { done <- q.Run(ctx) })
	t.Cleanup(func() { cancel(); wg.Wait() })
	return done
}

func TestQueueBound(t *testing.T) {
	q := NewQueue(&fakeSink{}, 10, nil)
	if err := put(q, "a frame over the bound", Charge{}); err != nil {
		t.Fatalf("empty queue: %v", err)
	}
	if err := put(q, "x", Charge{}); !errors.Is(err, ErrFull) {
		t.Fatalf("over the bound: %v", err)
	}
	q.Flush()
	for _, want := range []error{nil, nil, ErrFull} {
		if err := put(q, "12345", Charge{}); !errors.Is(err, want) {
			t.Fatalf("got %v, want %v", err, want)
		}
	}
	var err error
	for n := 0; err == nil; n++ {
		if n > 20 {
			t.Fatal("control frames have no bound")
		}
		err = q.PutControl(func(dst []byte) []byte { return append(dst, "1234"...) })
	}
	if !errors.Is(err, ErrFull) || q.Queued() > 24 {
		t.Fatalf("%d queued: %v", q.Queued(), err)
	}
}

func TestQueueSpace(t *testing.T) {
	q := NewQueue(&fakeSink{take: func() int { return 0 }, gate: make(chan struct{})}, 10, nil)
	select {
	case <-q.Space():
	default:
		t.Fatal("no space in an empty queue")
	}
	put(q, "123456", Charge{})
	space := q.Space()
	select {
	case <-space:
		t.Fatal("space in a queue that is more than half full")
	default:
	}
	q.Close(ErrClosed)
	<-space
	<-q.Space()
	if err := put(q, "1", Charge{}); !errors.Is(err, ErrClosed) {
		t.Fatal(err)
	}
}

func TestQueueSpaceAfterWrite(t *testing.T) {
	sink := &fakeSink{take: func() int { return 3 }, gate: make(chan struct{})}
	q := NewQueue(sink, 10, nil)
	running(t, q)
	put(q, "123456", Charge{})
	space := q.Space()
	q.Flush() // leaves the rest to Run, which blocks
	put(q, "789", Charge{})
	q.Flush() // somebody else owns the sink: must not overtake
	close(sink.gate)
	<-space
	q.Flush()
	for string(sink.bytes()) != "123456789" {
		if len(sink.bytes()) >= 9 {
			t.Fatalf("got %q", sink.bytes())
		}
	}
}

// TestQueueWake: Run writes what was put without a Flush.
func TestQueueWake(t *testing.T) {
	left := make(chan int, 1)
	q := NewQueue(&fakeSink{}, 10, func(c []Charge) { left <- c[0].Bytes })
	running(t, q)
	put(q, "123", Charge{Account: "a", Bytes: 3})
	q.Wake()
	if n := <-left; n != 3 {
		t.Fatal(n)
	}
}

// TestQueueCharges checks that every charge is reported exactly once, whatever the
// sink takes and wherever the link breaks, and that frames leave whole and in order.
func TestQueueCharges(t *testing.T) {
	for seed := range uint64(200) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) { chargesOnce(t, seed) })
	}
}

func chargesOnce(t *testing.T, seed uint64) {
	rng := rand.New(rand.NewPCG(seed, 1))
	broken := errors.New("broken")
	sink := &fakeSink{}
	sink.take = func() int {
		if rng.IntN(400) == 0 {
			sink.err = broken
		}
		return rng.IntN(200)
	}
	var reported [3]atomic.Int64
	q := NewQueue(sink, 4096, func(cs []Charge) {
		for _, c := range cs {
			reported[c.Account.(int)].Add(int64(c.Bytes) + int64(c.Silent)<<32)
		}
	})
	done := running(t, q)
	var putters sync.WaitGroup
	var charged [3]int64
	var silent [3]int
	for who := range 3 {
		prng := rand.New(rand.NewPCG(seed, uint64(who)+2))
		putters.Go(func() {
			for i := range 200 {
				frame := binary.BigEndian.AppendUint32([]byte{byte(who)}, uint32(i))
				c := Charge{Account: who, Bytes: 5, Silent: prng.IntN(2)}
				if q.Put(5, c, func(dst []byte) []byte { return append(dst, frame...) }) != nil {
					continue
				}
				charged[who] += 5 + int64(c.Silent)<<32
				silent[who] += c.Silent
				if prng.IntN(5) == 0 {
					q.Flush()
				}
			}
			q.Flush()
		})
	}
	putters.Wait()
	if rng := rand.New(rand.NewPCG(seed, 9)); rng.IntN(2) == 0 {
		q.Close(ErrClosed)
	}
	q.Wake()
	if q.Stats().Queued == 0 {
		q.Close(ErrClosed)
	}
	for q.Queued() > 0 {
		q.Flush()
	}
	q.Close(ErrClosed)
	<-done
	for who := range 3 {
		if got := reported[who].Load(); got != charged[who] {
			t.Errorf("account %d: %x reported, %x charged", who, got, charged[who])
		}
	}
	s := q.Stats()
	if s.Queued != 0 || s.Lost > silent[0]+silent[1]+silent[2] {
		t.Errorf("%+v, %v silent", s, silent)
	}
	next := [3]int64{-1, -1, -1}
	got := sink.bytes()
	for ; len(got) >= 5; got = got[5:] {
		who, i := got[0], int64(binary.BigEndian.Uint32(got[1:]))
		if who > 2 || i <= next[who] {
			t.Fatalf("frame %d of %d after %d", i, who, next[who])
		}
		next[who] = i
	}
}

func TestQueueLost(t *testing.T) {
	sink := &fakeSink{take: func() int { return 2 }, gate: make(chan struct{})}
	q := NewQueue(sink, 100, nil)
	put(q, "123", Charge{Silent: 1})
	q.Flush() // two of three bytes, the rest is Run's, which does not run
	put(q, "456", Charge{Silent: 1})
	put(q, "789", Charge{})
	q.Close(ErrClosed)
	if s := q.Stats(); s.Lost != 2 || s.Queued != 0 || s.Frames != 3 || s.Bytes != 9 {
		t.Errorf("%+v", s)
	}
}

func TestQueueAllocatesNothing(t *testing.T) {
	sink := discard{}
	q := NewQueue(sink, 1<<20, func([]Charge) {})
	account := new(int)
	m := aMessage
	step := func() {
		for range 10 {
			_ = q.Put(m.FrameSize(), Charge{Account: account, Bytes: m.FrameSize()}, func(dst []byte) []byte { return AppendMessage(dst, &m) })
		}
		q.Flush()
	}
	step()
	step()
	if n := testing.AllocsPerRun(100, step); n != 0 {
		t.Errorf("put and flush: %v allocations", n)
	}
	stream := bytes.Repeat(AppendMessage(nil, &m), 100)
	var src endless
	src.data = stream
	r := NewReader(&src)
	if n := testing.AllocsPerRun(1000, func() {
		f, err := r.Next()
		var m Message
		if err != nil || m.Parse(f.Body) != nil {
			panic("bad frame")
		}
		r.Dry()
	}); n != 0 {
		t.Errorf("next and parse: %v allocations", n)
	}
}

type discard struct{}

func (discard) TryWrite(p []byte) (int, error) { return len(p), nil }
func (discard) Write(p []byte) (int, error)    { return len(p), nil }

// endless repeats its data.
type endless struct {
	data []byte
	at   int
}

func (e *endless) Read(p []byte) (int, error) {
	n := copy(p, e.data[e.at:])
	e.at = (e.at + n) % len(e.data)
	return n, nil
}

// TestSink writes to a socket that nobody reads until it takes no more, then reads
// it empty.
func TestSink(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	ln, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	out, err := net.DialUnix("unix", nil, ln.Addr().(*net.UnixAddr))
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	in, err := ln.AcceptUnix()
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	sink, err := NewSink(out)
	if err != nil {
		t.Fatal(err)
	}
	p := bytes.Repeat([]byte("0123456789"), 1<<18)
	n, err := sink.TryWrite(p)
	if err != nil || n == 0 || n == len(p) {
		t.Fatalf("wrote %d of %d: %v", n, len(p), err)
	}
	if m, err := sink.TryWrite(p); m != 0 || err != nil {
		t.Fatalf("a full socket took %d: %v", m, err)
	}
	buf := make([]byte, n)
	for got := 0; got < n; {
		m, err := in.Read(buf[got:])
		if err != nil {
			t.Fatal(err)
		}
		got += m
	}
	if !bytes.Equal(buf, p[:n]) {
		t.Fatal("other bytes")
	}
	small := p[:1000]
	if a := testing.AllocsPerRun(50, func() {
		if m, err := sink.TryWrite(small); m != len(small) || err != nil {
			t.Fatal(m, err)
		}
		if _, err := in.Read(buf[:1000]); err != nil {
			t.Fatal(err)
		}
	}); a != 0 {
		t.Errorf("%v allocations a write", a)
	}
	in.Close()
	if _, err := sink.TryWrite(small); err == nil {
		t.Errorf("write to a closed peer: %v", err)
	}
}
