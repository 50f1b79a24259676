package relay

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/antano/antano/shared/wire"
)

// hold is the question what not to send that waits to be confirmed. l.mu guards it.
type hold struct {
	mode wire.Hold
	done chan struct{}
}

// stillPoll is how often is looked whether all is still.
const stillPoll = time.Millisecond

// Quiet has the processes send no messages and waits until no result is awaited, but
// not longer than settle. Then it has them send nothing at all, and returns when
// everything they and we had to write is written: what is open then is in Snapshot.
// With an error, which names the process that did not obey before ctx ended, and
// after a nil one that leads to nothing, Resume lets them go on.
func (r *Router) Quiet(ctx context.Context, settle time.Duration) error {
	if err := r.holdAll(ctx, wire.HoldMessages); err != nil {
		return err
	}
	settling, cancel := context.WithTimeout(ctx, settle)
	_ = r.still(settling, func(l *Link) bool { return l.pending.count() == 0 })
	cancel()
	if err := r.holdAll(ctx, wire.HoldAll); err != nil {
		return err
	}
	return r.still(ctx, func(l *Link) bool { return l.queue.Queued() == 0 })
}

// Resume ends a Quiet.
func (r *Router) Resume() {
	for _, l := range *r.up.Load() {
		_ = l.request(func(dst []byte) []byte { return wire.AppendHold(dst, wire.TypeHold, wire.HoldNothing) }) // down: nothing to end
	}
}

// holdAll asks all processes at once.
func (r *Router) holdAll(ctx context.Context, mode wire.Hold) error {
	up := *r.up.Load()
	waits := make([]chan struct{}, len(up))
	for i, l := range up {
		waits[i] = l.askHold(mode)
	}
	for i, l := range up {
		select {
		case <-waits[i]:
		case <-l.down:
		case <-ctx.Done():
			select {
			case <-waits[i]: // it is another one that is to be named
				continue
			default:
			}
			return fmt.Errorf("%s does not say that it holds back: %w", l, ctx.Err())
		}
	}
	return nil
}

func (l *Link) askHold(mode wire.Hold) chan struct{} {
	done := make(chan struct{})
	l.mu.Lock()
	l.hold = hold{mode, done}
	l.mu.Unlock()
	_ = l.request(func(dst []byte) []byte { return wire.AppendHold(dst, wire.TypeHold, mode) }) // down: seen by who waits
	return done
}

// still waits until so holds for every link that is up.
func (r *Router) still(ctx context.Context, so func(*Link) bool) error {
	ticker := time.NewTicker(stillPoll)
	defer ticker.Stop()
	for {
		up := *r.up.Load()
		i := slices.IndexFunc(up, func(l *Link) bool { return !so(l) })
		if i < 0 {
			return nil
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return fmt.Errorf("%s does not come to rest: %w", up[i], ctx.Err())
		}
	}
}

// held takes a confirmation; one of nothing that was asked means nothing.
func (l *Link) heldBack(body []byte) error {
	mode, err := wire.ParseHold(body)
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.hold.done != nil && l.hold.mode == mode {
		close(l.hold.done)
		l.hold.done = nil
	}
	return nil
}
