package relay

import (
	"context"
	"errors"
	"fmt"

	"github.com/antano/antano/shared/wire"
)

// ErrSuperseded means that other slots were assigned before these were confirmed.
var ErrSuperseded = errors.New("other slots were assigned since")

// slots is the assignment that waits to be confirmed. l.mu guards it.
type slots struct {
	want uint64
	done chan error
}

// AssignSlots gives the process the datagram clients on these slots (bit n is slot n)
// that no process has, then tells it which slots to read and waits
// until it confirms that it reads no others, until ctx ends, or until the link goes
// down. A later call makes an earlier one that still waits fail with ErrSuperseded.
func (l *Link) AssignSlots(ctx context.Context, bits uint64) error {
	done := make(chan error, 1)
	l.mu.Lock()
	if l.slots.done != nil {
		l.slots.done <- fmt.Errorf("slots of %s: %w", l, ErrSuperseded)
	}
	l.slots = slots{bits, done}
	l.mu.Unlock()
	select {
	case <-l.up:
	default:
		return fmt.Errorf("%w: %s", ErrDown, l)
	}
	if err := l.restore(ctx, bits); err != nil {
		return err
	}
	if err := l.request(func(dst []byte) []byte { return wire.AppendSlots(dst, wire.TypeSlots, bits) }); err != nil {
		return err
	}
	select {
	case err := <-done:
		return err
	case <-l.down:
		return fmt.Errorf("%w: %s", ErrDown, l)
	case <-ctx.Done():
		return fmt.Errorf("%s did not confirm its slots: %w", l, ctx.Err())
	}
}

func (l *Link) slotsOK(body []byte) error {
	bits, err := wire.ParseU64(body)
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.slots.done == nil || l.slots.want != bits {
		l.counters.strays.Add(1)
		return nil
	}
	l.slots.done <- nil // has room: the channel is forgotten with its first value
	l.slots.done = nil
	return nil
}
