package manager

import (
	"context"
	"time"

	"github.com/antano/antano/manager/internal/slots"
)

// add gives a new process of the service its part of the slots, once it is ready.
func (k *slotKeeper) add(id int) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.table != nil {
		k.send(k.table.Add(id))
	}
}

// remove gives the slots of a process to its siblings for good, with their clients, and
// returns when it reads none any more. Without a sibling that is ready it keeps them
// until ctx ends. The process is forgotten with its end.
func (k *slotKeeper) remove(ctx context.Context, id int) error {
	return k.vacate(ctx, id, (*slots.Table).Remove)
}

// forget is remove for a process that has ended.
func (k *slotKeeper) forget(id int) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.table != nil {
		k.send(k.table.Remove(id))
	}
}

// leave is remove for a process that is only stopped: the slots remain its own.
func (k *slotKeeper) leave(ctx context.Context, id int) error {
	return k.vacate(ctx, id, (*slots.Table).Leave)
}

func (k *slotKeeper) vacate(ctx context.Context, id int, how func(*slots.Table, int) []slots.Command) error {
	if k.table == nil {
		return nil
	}
	k.mu.Lock()
	k.send(how(k.table, id))
	k.mu.Unlock()
	return k.until(ctx, func() bool { return k.table.Quiet(id) && k.table.Reads(id) == 0 })
}

// confirmTime is how long a replaced generation may take to confirm that it reads
// nothing, before its end is waited for.
const confirmTime = 5 * time.Second

// replace lets move hand everything of a generation over to the next one, during which no
// slot of the process changes its reader, and then has the new one read what the old one
// did. With the error of move all is as before.
func (k *slotKeeper) replace(ctx context.Context, old, new *instance, move func(context.Context) error) error {
	if k.table == nil {
		return move(ctx)
	}
	id := old.w.id
	err := k.until(ctx, func() bool {
		if !k.replaced[id] { // else its last replacement is not over
			k.table.Hold(id)
		}
		return !k.replaced[id]
	})
	if err != nil {
		return err
	}
	if err = k.until(ctx, func() bool { return k.table.Quiet(id) }); err == nil {
		err = move(ctx)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if err != nil || k.readers[id] != old {
		k.send(k.table.Release(id))
		return err
	}
	k.readers[id], k.replaced[id] = new, true
	k.wait.Go(func() { k.silence(id, old) })
	return nil
}

// outlived has an adopted generation, which drains, read nothing before the next one reads.
func (k *slotKeeper) outlived(old *instance) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.table == nil || old.link.Reading() == 0 {
		return
	}
	k.replaced[old.w.id] = true
	k.wait.Go(func() { k.silence(old.w.id, old) })
}

// silence has a replaced generation read nothing any more, and then lets its successor.
func (k *slotKeeper) silence(id int, old *instance) {
	ctx, cancel := context.WithTimeout(k.ctx, confirmTime)
	defer cancel()
	if err := k.processes.assign(ctx, old, 0); err != nil {
		k.warn("a replaced process has not stopped reading its slots", old, err)
		select {
		case <-k.processes.ended(old):
		case <-k.ctx.Done():
			return
		}
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.replaced, id)
	if k.readers[id] != nil {
		k.send(k.table.Ready(id))
	} else {
		k.send(k.table.Reaped(id))
	}
	k.send(k.table.Release(id))
}
