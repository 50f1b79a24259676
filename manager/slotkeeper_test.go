package manager

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/antano/antano/manager/internal/event"
	"github.com/antano/antano/manager/internal/process"
	"github.com/antano/antano/manager/internal/slots"
)

// readersOf are processes that do as they are told, or what a test makes them do, and
// note it.
type readersOf struct {
	t       *testing.T
	keeper  *slotKeeper
	workers map[int]*worker
	ends    map[*instance]chan struct{}
	now     map[int]int // the generation that each process is starting

	mu     sync.Mutex
	trace  []string
	reads  map[*instance]slots.Set
	fails  map[*instance]error         // of what it is told
	stalls map[*instance]chan struct{} // before it confirms
	apart  error                       // of a move
}

// newReaders has n slots and two processes, of which nothing runs.
func newReaders(t *testing.T, n int) *readersOf {
	r := &readersOf{t: t, workers: make(map[int]*worker), ends: make(map[*instance]chan struct{}), now: make(map[int]int),
		reads: make(map[*instance]slots.Set), fails: make(map[*instance]error), stalls: make(map[*instance]chan struct{})}
	for id := 1; id <= 2; id++ {
		r.workers[id] = &worker{id: id}
	}
	var err error
	if r.keeper, err = newSlotKeeper(r, n, []int{1, 2}); err != nil {
		t.Fatal(err)
	}
	return r
}

func (r *readersOf) note(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.trace = append(r.trace, fmt.Sprintf(format, args...))
}

func (r *readersOf) assign(ctx context.Context, i *instance, set slots.Set) error {
	r.note("%d.%d reads %b", i.w.id, i.gen, set)
	r.mu.Lock()
	stall, err := r.stalls[i], r.fails[i]
	r.mu.Unlock()
	if stall != nil {
		select {
		case <-stall:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if err == nil {
		r.reads[i] = set
	}
	for other, theirs := range r.reads {
		if other != i && theirs&r.reads[i] != 0 {
			r.t.Errorf("slots %b have two readers", theirs&r.reads[i])
		}
	}
	return err
}

func (r *readersOf) handOver(_ context.Context, from, to *instance, set slots.Set) error {
	r.note("%d.%d gives the clients of %b to %d.%d", from.w.id, from.gen, set, to.w.id, to.gen)
	return r.apart
}

func (r *readersOf) starting(w *worker, generation int) bool { return r.now[w.id] == generation }

func (r *readersOf) ended(i *instance) <-chan struct{} { return r.ends[i] }

func (r *readersOf) confirmed(*instance, slots.Set) {}

func (r *readersOf) warn(what string, i *instance, err error) {
	r.note("%d.%d: %s: %v", i.w.id, i.gen, what, err)
}

// launch is the start of a generation; ready tells the keeper of it.
func (r *readersOf) launch(id, generation int) *instance {
	w := r.workers[id]
	i := &instance{w: w, gen: generation}
	r.ends[i] = make(chan struct{})
	if err := w.enter(i); err != nil {
		r.t.Fatal(err)
	}
	return i
}

func (r *readersOf) ready(i *instance) {
	r.keeper.moved(i.w, process.Event{Ref: event.Ref{Process: i.w.id, Generation: i.gen}, State: event.Ready})
}

// exit tells of the end of a generation and of what comes next.
func (r *readersOf) exit(i *instance, next event.State) {
	w := i.w
	r.mu.Lock()
	delete(r.reads, i)
	r.mu.Unlock()
	close(r.ends[i])
	w.mu.Lock()
	w.instances[i.half] = nil
	w.mu.Unlock()
	at := event.Ref{Process: w.id, Generation: i.gen}
	ref := at
	if next == event.Starting {
		ref.Generation++
		r.now[w.id] = ref.Generation
	}
	r.keeper.moved(w, process.Event{Ref: ref, State: next, Exit: &event.Exit{}, Ended: at})
}

// did checks what happened since the last call, in any order.
func (r *readersOf) did(want ...string) {
	r.t.Helper()
	synctest.Wait()
	r.mu.Lock()
	defer r.mu.Unlock()
	slices.Sort(r.trace)
	slices.Sort(want)
	if !slices.Equal(r.trace, want) {
		r.t.Errorf("happened\n%q\nwant\n%q", r.trace, want)
	}
	r.trace = nil
}

// both brings both processes up.
func (r *readersOf) both() (one, two *instance) {
	one, two = r.launch(1, 1), r.launch(2, 1)
	r.ready(one)
	r.ready(two)
	r.did("1.1 reads 11", "2.1 reads 1100")
	return one, two
}

// slotTest runs a test with four slots in a bubble.
func slotTest(t *testing.T, test func(*testing.T, *readersOf)) {
	synctest.Test(t, func(t *testing.T) {
		r := newReaders(t, 4)
		test(t, r)
		r.keeper.close()
	})
}

// TestSlotsOfARestart wait for the next generation, if that comes within a second.
func TestSlotsOfARestart(t *testing.T) {
	slotTest(t, func(t *testing.T, r *readersOf) {
		one, two := r.both()
		r.exit(one, event.Starting)
		time.Sleep(restartTime / 2)
		r.did()
		one = r.launch(1, 2)
		r.now[1] = 0
		r.ready(one)
		r.did("1.2 reads 11")
		time.Sleep(2 * restartTime)
		r.did()

		r.exit(one, event.Starting)
		time.Sleep(2 * restartTime)
		r.did("2.1 reads 1111")
		one = r.launch(1, 3)
		r.now[1] = 0
		r.ready(one)
		r.did("2.1 gives the clients of 11 to 1.3", "2.1 reads 1100", "1.3 reads 11")

		r.exit(two, event.Backoff)
		r.did("1.3 reads 1111")
	})
}

// TestSlotsOfAFailedMove change their reader all the same; that a plugin cannot hand
// clients over is nothing to warn of.
func TestSlotsOfAFailedMove(t *testing.T) {
	slotTest(t, func(t *testing.T, r *readersOf) {
		one, _ := r.both()
		for generation, apart := range []error{errNoHandover, errors.New("no room")} {
			r.exit(one, event.Backoff)
			r.did("2.1 reads 1111")
			r.apart = apart
			one = r.launch(1, generation+2)
			r.ready(one)
			want := []string{fmt.Sprintf("2.1 gives the clients of 11 to 1.%d", one.gen), "2.1 reads 1100", fmt.Sprintf("1.%d reads 11", one.gen)}
			if generation == 1 {
				want = append(want, "2.1: the clients of some slots were not handed over: they are new where they go: no room")
			}
			r.did(want...)
		}
	})
}

// TestSlotsAreConfirmedByTheirReader only: what an earlier generation says late counts
// for nothing.
func TestSlotsAreConfirmedByTheirReader(t *testing.T) {
	slotTest(t, func(t *testing.T, r *readersOf) {
		one, two := r.launch(1, 1), r.launch(2, 1)
		late := make(chan struct{})
		r.stalls[one] = late
		r.ready(one)
		r.ready(two)
		r.did("1.1 reads 11", "2.1 reads 1100")
		r.fails[one] = errors.New("it was too late")
		r.exit(one, event.Starting)
		again := r.launch(1, 2)
		r.stalls[again] = make(chan struct{})
		r.ready(again)
		r.did("1.2 reads 11")
		r.keeper.mu.Lock()
		quiet := r.keeper.table.Quiet(1)
		r.keeper.mu.Unlock()
		close(late)
		synctest.Wait()
		r.keeper.mu.Lock()
		defer r.keeper.mu.Unlock()
		if quiet || r.keeper.table.Quiet(1) {
			t.Error("the new generation has not confirmed anything")
		}
	})
}

// TestSlotsOfAReplacement are read by the new generation when the old one has confirmed
// that it reads none, or has ended.
func TestSlotsOfAReplacement(t *testing.T) {
	slotTest(t, func(t *testing.T, r *readersOf) {
		one, _ := r.both()
		next := r.launch(1, 2)
		refused := errors.New("the plugin refuses")
		if err := r.keeper.replace(t.Context(), one, next, func(context.Context) error { return refused }); err != refused {
			t.Error(err)
		}
		r.did()
		move := func(context.Context) error { r.note("moved"); return nil }
		if err := r.keeper.replace(t.Context(), one, next, move); err != nil {
			t.Error(err)
		}
		r.did("moved", "1.1 reads 0", "1.2 reads 11")
		r.exit(one, event.Ready)
		r.did()

		r.stalls[next] = make(chan struct{}) // for ever
		last := r.launch(1, 3)
		if err := r.keeper.replace(t.Context(), next, last, move); err != nil {
			t.Error(err)
		}
		r.did("moved", "1.2 reads 0")
		time.Sleep(2 * confirmTime)
		r.did("1.2: a replaced process has not stopped reading its slots: context deadline exceeded")
		r.exit(next, event.Ready)
		r.did("1.3 reads 11")
	})
}

// TestSlotsOfWhoLeaves go to its sibling before it does.
func TestSlotsOfWhoLeaves(t *testing.T) {
	slotTest(t, func(t *testing.T, r *readersOf) {
		_, two := r.both()
		r.stalls[two] = make(chan struct{})
		left := make(chan error, 1)
		go func() { left <- r.keeper.leave(t.Context(), 2) }()
		r.did("2.1 gives the clients of 1100 to 1.1", "2.1 reads 0")
		if len(left) > 0 {
			t.Error("it leaves before it has confirmed that it reads nothing")
		}
		close(r.stalls[two])
		r.did("1.1 reads 1111")
		if err := <-left; err != nil {
			t.Error(err)
		}
		// The last one keeps its slots until nobody waits any more.
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := r.keeper.leave(ctx, 1); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		r.did()
	})
}

// TestSlotKeeperCloses while a process has not confirmed, and while somebody waits.
func TestSlotKeeperCloses(t *testing.T) {
	slotTest(t, func(t *testing.T, r *readersOf) {
		one := r.launch(1, 1)
		r.stalls[one] = make(chan struct{})
		r.ready(one)
		r.did("1.1 reads 11")
		left := make(chan error, 1)
		go func() { left <- r.keeper.leave(t.Context(), 1) }()
		synctest.Wait()
		r.keeper.close()
		if err := <-left; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		r.did()
	})
}

// TestNoSlots: a service whose processes share their sockets has nothing to keep.
func TestNoSlots(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newReaders(t, 0)
		one := r.launch(1, 1)
		r.ready(one)
		if err := r.keeper.leave(t.Context(), 1); err != nil {
			t.Error(err)
		}
		moved := false
		if err := r.keeper.replace(t.Context(), one, one, func(context.Context) error { moved = true; return nil }); err != nil || !moved {
			t.Errorf("moved: %t, %v", moved, err)
		}
		r.did()
		r.keeper.close()
	})
}
