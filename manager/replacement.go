package manager

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/antano/antano/manager/internal/event"
	"github.com/antano/antano/manager/internal/process"
	"github.com/antano/antano/manager/internal/relay"
)

// replacement is a worker in a rolling replacement, with what it is to run.
type replacement struct {
	*worker
	op   *operation
	next *spec
	old  *spec
}

func (r *replacement) replace(ctx context.Context) error {
	st := r.process.Status()
	r.op.sayOf(r.worker, "starts a generation beside generation %d", st.Ref.Generation)
	r.old = r.use(r.next)
	if err := r.process.Replace(ctx, r.settings(r.next)); err != nil {
		r.use(r.old)
		var unready *process.NotReadyError
		if !errors.As(err, &unready) && ctx.Err() == nil {
			err = fmt.Errorf("%w; 'antano why %s' shows whether it hangs", err, r.worker)
		}
		return err
	}
	r.op.sayOf(r.worker, "generation %d serves", r.process.Status().Ref.Generation)
	return nil
}

// lasts implements member: it ends early when the generation does.
func (r *replacement) lasts(ctx context.Context, d time.Duration) error {
	generation := r.process.Status().Ref.Generation
	timer := time.NewTimer(d)
	defer timer.Stop()
	for {
		changed := r.stirs()
		if st := r.process.Status(); st.Ref.Generation != generation || st.State != event.Ready {
			err := &process.NotReadyError{Ref: st.Ref, WasReady: true}
			err.Ref.Generation = generation
			if st.LastExit != nil {
				err.Exit = *st.LastExit
			}
			return fmt.Errorf("it did not last %s: %w", d, err)
		}
		select {
		case <-changed:
		case <-timer.C:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// restore implements member.
func (r *replacement) restore(ctx context.Context) error {
	if r.old == r.next {
		return nil // the same again: its restart is the policy's matter
	}
	r.op.sayOf(r.worker, "goes back to what it ran before")
	r.use(r.old)
	return r.process.Replace(ctx, r.settings(r.old))
}

// use says what the worker runs from now on, and returns what it ran.
func (w *worker) use(sp *spec) (old *spec) {
	w.mu.Lock()
	defer w.mu.Unlock()
	old, w.spec = w.spec, sp
	return old
}

// runs is what the worker runs.
func (w *worker) runs() *spec {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.spec
}

// stirs is closed at the next move of the process.
func (w *worker) stirs() <-chan struct{} {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.changed == nil {
		w.changed = make(chan struct{})
	}
	return w.changed
}

// stirred tells who waits for a move that there was one.
func (w *worker) stirred() {
	w.mu.Lock()
	if w.changed != nil {
		close(w.changed)
		w.changed = nil
	}
	w.mu.Unlock()
	w.service.stirred()
}

// move is process.Config.Move: it hands the clients over where both generations can,
// and else has the old one take no more, to be drained. From one to the other the process is
// ready without a break: its senders stay.
func (w *worker) move(ctx context.Context, from, to process.Instance) (err error) {
	old, next := from.(*instance), to.(*instance)
	select {
	case <-w.service.server.keeper.save(): // a successor asks both who has the clients
	case <-ctx.Done():
		return ctx.Err()
	}
	next.link.SetReady(true)
	defer func() {
		if err != nil {
			next.link.SetReady(false)
		}
	}()
	return w.service.slots.replace(ctx, old, next, func(ctx context.Context) error {
		if old.spec.movesTo(next.spec) {
			return w.service.server.router.Move(ctx, old.link, next.link, relay.Scope{All: true})
		}
		old.link.Drain()
		return nil
	})
}
