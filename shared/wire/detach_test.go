package wire

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
)

// brittleSink takes so many bytes and then fails.
type brittleSink struct {
	mu  sync.Mutex
	got bytes.Buffer
	max int
}

func (s *brittleSink) TryWrite(p []byte) (int, error) { return s.Write(p) }

func (s *brittleSink) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if room := s.max - s.got.Len(); room < len(p) {
		s.got.Write(p[:room])
		return room, errors.New("broken")
	}
	return s.got.Write(p)
}

func putNumbers(t *testing.T, q *Queue, numbers ...uint64) {
	t.Helper()
	for _, n := range numbers {
		if err := q.Put(13, Charge{}, func(dst []byte) []byte { return AppendSlots(dst, TypeSlots, n) }); err != nil {
			t.Fatal(err)
		}
	}
}

// numbers are those of the whole frames in b.
func numbers(t *testing.T, b []byte) (all []uint64) {
	t.Helper()
	for {
		f, n, _, err := Next(b)
		if err != nil {
			t.Fatal(err)
		}
		if n == 0 {
			return all
		}
		v, err := ParseU64(f.Body)
		if err != nil {
			t.Fatal(err)
		}
		all, b = append(all, v), b[n:]
	}
}

// Wherever a link breaks, the successor gets each frame that the first sink did not
// get whole, once and in order, behind what goes first.
func TestQueueSurvivesAnyBreak(t *testing.T) {
	for broken := range 5*13 + 1 {
		first := &brittleSink{max: broken}
		q := NewQueue(first, 1000, nil)
		q.Survive()
		putNumbers(t, q, 1, 2, 3)
		q.Flush()
		putNumbers(t, q, 4, 5)
		q.Flush()
		q.Detach()
		putNumbers(t, q, 6)
		q.Flush()
		if want := 13 * (6 - min(broken/13, 5)); q.Queued() != want {
			t.Fatalf("broken at %d: %d bytes wait, want %d", broken, q.Queued(), want)
		}
		var waiting []uint64
		q.Waiting(func(f Frame) { waiting = append(waiting, numbers(t, f.Raw)...) })
		second := &brittleSink{max: 1000}
		q.Attach(second, AppendSlots(nil, TypeSlots, 100))
		q.Flush()
		got := numbers(t, first.got.Bytes())
		if !slices.Equal(append(got, waiting...), []uint64{1, 2, 3, 4, 5, 6}) {
			t.Fatalf("broken at %d: %v written, %v waited", broken, got, waiting)
		}
		if want := append([]uint64{100}, waiting...); !slices.Equal(numbers(t, second.got.Bytes()), want) {
			t.Fatalf("broken at %d: the successor got %v, want %v", broken, numbers(t, second.got.Bytes()), want)
		}
		if q.Queued() != 0 {
			t.Errorf("broken at %d: %d bytes are left", broken, q.Queued())
		}
	}
}

// A batch that was left to Run, which has not begun with it, is taken back.
func TestQueueDetachesWhatWasHandedOver(t *testing.T) {
	stuck := &stuckSink{take: 20}
	q := NewQueue(stuck, 1000, nil)
	q.Survive()
	putNumbers(t, q, 1, 2, 3)
	q.Flush()
	q.Detach()
	second := &brittleSink{max: 1000}
	q.Attach(second, nil)
	q.Flush()
	if got := numbers(t, second.got.Bytes()); !slices.Equal(got, []uint64{2, 3}) {
		t.Errorf("the successor got %v", got)
	}
	q.Close(ErrClosed)
	if err := q.Run(context.Background()); !errors.Is(err, ErrClosed) {
		t.Error(err)
	}
}

// stuckSink takes so many bytes at once and the rest never.
type stuckSink struct{ take int }

func (s *stuckSink) TryWrite([]byte) (int, error) { return s.take, nil }
func (s *stuckSink) Write([]byte) (int, error)    { panic("nobody runs the queue") }

// Held frames wait for the release, in order; others pass them.
func TestQueueHolds(t *testing.T) {
	sink := &brittleSink{max: 1000}
	q := NewQueue(sink, 1000, nil)
	putNumbers(t, q, 1)
	q.Hold(func(t Type) bool { return t == TypeSlotsOK })
	putNumbers(t, q, 2, 3)
	if err := q.PutControl(func(dst []byte) []byte { return AppendSlots(dst, TypeSlotsOK, 10) }); err != nil {
		t.Fatal(err)
	}
	q.Flush()
	if got := numbers(t, sink.got.Bytes()); !slices.Equal(got, []uint64{1, 10}) || q.Queued() != 26 {
		t.Errorf("%v passed, %d bytes wait", got, q.Queued())
	}
	q.Release()
	putNumbers(t, q, 4)
	q.Flush()
	if got := numbers(t, sink.got.Bytes()); !slices.Equal(got, []uint64{1, 10, 2, 3, 4}) || q.Queued() != 0 {
		t.Errorf("%v came, %d bytes wait", got, q.Queued())
	}
}
