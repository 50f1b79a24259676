package manager

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/antano/antano/manager/internal/event"
	"github.com/antano/antano/manager/internal/process"
	"github.com/antano/antano/manager/internal/relay"
	"github.com/antano/antano/manager/internal/slots"
)

// slotKeeper carries out what a slots.Table decides for one service. A service
// without slots has one without a table, which does nothing.
type slotKeeper struct {
	service *Service

	mu    sync.Mutex // guards table
	table *slots.Table

	ctx    context.Context // of the confirmations that are awaited
	cancel context.CancelFunc
	wait   sync.WaitGroup
}

func newSlotKeeper(s *Service, n int) (*slotKeeper, error) {
	k := &slotKeeper{service: s}
	k.ctx, k.cancel = context.WithCancel(context.Background())
	if n == 0 {
		return k, nil
	}
	var err error
	k.table, err = slots.New(n, s.plan().ProcessIDs)
	return k, err
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
	var commands []slots.Command
	if e.Exit != nil {
		commands = append(commands, k.table.Reaped(w.id)...)
	}
	switch e.State {
	case event.Starting:
		if e.Exit != nil {
			time.AfterFunc(restartTime, func() { k.overdue(w, e.Ref.Generation) })
		}
	case event.Ready:
		commands = append(commands, k.table.Ready(w.id)...)
	case event.Backoff, event.Failed:
		commands = append(commands, k.table.Away(w.id)...)
	}
	k.send(commands)
}

// overdue lets the siblings of a process adopt its slots when it is still starting.
func (k *slotKeeper) overdue(w *worker, generation int) {
	st := w.process.Status()
	if st.State != event.Starting || st.Ref.Generation != generation || k.ctx.Err() != nil {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if w.process.Status().State == event.Starting {
		k.send(k.table.Away(w.id))
	}
}

// send carries commands out, each in a goroutine that waits for its confirmation.
// k.mu is held.
func (k *slotKeeper) send(commands []slots.Command) {
	for _, c := range commands {
		w := k.service.worker(c.Process)
		i := w.instance()
		if i == nil {
			continue // gone by now: Reaped will follow
		}
		k.wait.Go(func() { k.assign(w, i, c) })
	}
}

func (k *slotKeeper) assign(w *worker, i *instance, c slots.Command) {
	err := i.link.AssignSlots(k.ctx, c.Slots)
	if err != nil {
		if k.ctx.Err() == nil && !errors.Is(err, relay.ErrDown) {
			k.service.server.cfg.Logger.Warn("slots were not confirmed", "service", k.service.plan().Params.Name, "process", w.id, "err", err)
		}
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if w.instance() == i { // a later generation has confirmed nothing yet
		k.send(k.table.Confirmed(c.Process, c.Slots))
	}
}

// release has a generation that is about to be replaced read no slot any more.
func (k *slotKeeper) release(ctx context.Context, i *instance) error {
	if k.table == nil {
		return nil
	}
	return i.link.AssignSlots(ctx, 0)
}

// close returns when nothing is awaited any more.
func (k *slotKeeper) close() {
	k.cancel()
	k.wait.Wait()
}
