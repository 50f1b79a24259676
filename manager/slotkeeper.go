package manager

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/antano/antano/manager/internal/event"
	"github.com/antano/antano/manager/internal/process"
	"github.com/antano/antano/manager/internal/relay"
	"github.com/antano/antano/manager/internal/slots"
)

// slotReaders are the processes that a slotKeeper commands.
type slotReaders interface {
	// assign has a generation read exactly these slots, and returns when it has confirmed
	// that.
	assign(ctx context.Context, i *instance, set slots.Set) error
	// handOver moves the clients of some slots from one generation to another.
	handOver(ctx context.Context, from, to *instance, set slots.Set) error
	// starting reports whether a process is at the start of that generation.
	starting(w *worker, generation int) bool
	// ended is closed when a generation has.
	ended(i *instance) <-chan struct{}
	// confirmed is told of what a generation reads by now.
	confirmed(i *instance, set slots.Set)
	// warn is told of what went wrong with a generation.
	warn(what string, i *instance, err error)
}

// slotKeeper carries out what a slots.Table decides for one service. A service
// without slots has one without a table, which does nothing.
type slotKeeper struct {
	processes slotReaders

	mu       sync.Mutex // guards what follows
	table    *slots.Table
	readers  map[int]*instance // the generation of each process that the table is told of
	replaced map[int]bool      // an older generation has not confirmed yet that it reads nothing
	changed  chan struct{}     // closed at the next change of the table

	ctx    context.Context // of what is awaited
	cancel context.CancelFunc
	wait   sync.WaitGroup
}

// newSlotKeeper has the processes with these ids share n slots.
func newSlotKeeper(processes slotReaders, n int, ids []int) (*slotKeeper, error) {
	k := &slotKeeper{processes: processes, readers: make(map[int]*instance), replaced: make(map[int]bool), changed: make(chan struct{})}
	k.ctx, k.cancel = context.WithCancel(context.Background())
	if n == 0 {
		return k, nil
	}
	var err error
	k.table, err = slots.New(n, ids)
	return k, err
}

// reading notes what an adopted process reads, before it is ready.
func (k *slotKeeper) reading(id int, bits slots.Set) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.table != nil {
		k.table.Reading(id, bits)
	}
}

// restartTime is how long the immediate restart of a process may take before its
// siblings adopt its slots.
const restartTime = time.Second

// moved translates a move of a process into events of the table. It never blocks.
func (k *slotKeeper) moved(w *worker, e process.Event) {
	if k.table == nil || k.ctx.Err() != nil {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if i := k.readers[w.id]; i != nil && e.Exit != nil && e.Ended.Generation == i.gen {
		delete(k.readers, w.id)
		k.note(w.id, k.table.Reaped)
	}
	switch e.State {
	case event.Starting:
		if e.Exit != nil {
			time.AfterFunc(restartTime, func() { k.overdue(w, e.Ref.Generation) })
		}
	case event.Ready:
		if i := w.at(e.Ref.Generation); i != nil && k.readers[w.id] != i {
			k.readers[w.id] = i
			if i.adopted {
				k.note(w.id, k.table.Resume)
			} else {
				k.note(w.id, k.table.Ready)
			}
		}
	case event.Backoff, event.Failed, event.Stopped:
		k.send(k.table.Away(w.id))
	}
}

// note tells the table of the end or the beginning of a generation, unless an older one
// may still be reading. k.mu is held.
func (k *slotKeeper) note(id int, of func(int) []slots.Command) {
	if !k.replaced[id] {
		k.send(of(id))
	}
}

// overdue lets the siblings of a process adopt its slots when it is still starting.
func (k *slotKeeper) overdue(w *worker, generation int) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.ctx.Err() == nil && k.processes.starting(w, generation) {
		k.send(k.table.Away(w.id))
	}
}

// send carries commands out, each in a goroutine that waits for its answer. k.mu is
// held.
func (k *slotKeeper) send(commands []slots.Command) {
	close(k.changed)
	k.changed = make(chan struct{})
	for _, c := range commands {
		i := k.readers[c.Process]
		if c.Move {
			to := k.readers[c.To]
			k.wait.Go(func() { k.move(i, to, c) })
			continue
		}
		k.wait.Go(func() { k.assign(i, c) })
	}
}

func (k *slotKeeper) assign(i *instance, c slots.Command) {
	err := k.processes.assign(k.ctx, i, c.Slots)
	if err != nil {
		k.warn("slots were not confirmed", i, err)
		return
	}
	k.processes.confirmed(i, c.Slots)
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.readers[c.Process] == i { // a later generation has confirmed nothing yet
		k.send(k.table.Confirmed(c.Process, c.Slots))
	}
}

func (k *slotKeeper) move(from, to *instance, c slots.Command) {
	err := k.processes.handOver(k.ctx, from, to, c.Slots)
	if err != nil && !errors.Is(err, errNoHandover) {
		k.warn("the clients of some slots were not handed over: they are new where they go", from, err)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.send(k.table.Moved(c.Process, err == nil))
}

func (k *slotKeeper) warn(what string, i *instance, err error) {
	if k.ctx.Err() == nil && !errors.Is(err, relay.ErrDown) {
		k.processes.warn(what, i, err)
	}
}

// close returns when nothing is awaited any more.
func (k *slotKeeper) close() {
	k.cancel()
	k.wait.Wait()
}

// until waits until the table, which only changes with k.mu held, says so.
func (k *slotKeeper) until(ctx context.Context, so func() bool) error {
	for {
		k.mu.Lock()
		ok, changed := so(), k.changed
		k.mu.Unlock()
		if ok {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("wait for slots to change their reader: %w", ctx.Err())
		case <-k.ctx.Done():
			return fmt.Errorf("wait for slots to change their reader: %w", k.ctx.Err())
		}
	}
}
