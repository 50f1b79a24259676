package relay

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/antano/antano/shared"
	"github.com/antano/antano/shared/wire"
)

// acks count the messages of a link that were read, at either end.
type acks struct {
	inside atomic.Int64 // copies without a token from the process that wait in our queues

	mu   sync.Mutex
	read wire.Ack // from the process, by now
	said wire.Ack // what it was told of that
	got  wire.Ack // what it has said that it read
	told bool     // it has said so at all

	last time.Time // of the reader: when it acknowledged
}

// settled reports whether all that was read is acknowledged.
func (a *acks) settled() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.read == a.said
}

// ackDelay is how long a message without a token that was passed on may wait for its
// ack. What is not acknowledged counts as lost if this manager is killed.
const ackDelay = 5 * time.Millisecond

// count notes a message that was read. Only the reader calls it; publish shows it.
func (rd *reader) count(m *wire.Message) {
	rd.read.Messages++
	rd.read.Silent += uint64(m.Silent())
}

// acknowledgeSoon acknowledges what was read from l, at once if that is not often. The
// reader calls it when it has flushed what it read.
func (l *Link) acknowledgeSoon() {
	l.acks.mu.Lock()
	unsaid := l.acks.read.Silent != l.acks.said.Silent
	l.acks.mu.Unlock()
	if !unsaid {
		return
	}
	if now := time.Now(); now.Sub(l.acks.last) >= ackDelay {
		l.acks.last = now
		l.acknowledge(&l.reader.out)
		l.reader.out.flush()
		return
	}
	select {
	case l.r.unsaid <- struct{}{}:
	default:
	}
}

// acknowledge acknowledges what came too soon after the last ack, until ctx ends.
func (r *Router) acknowledge(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	var out outbox
	for {
		select {
		case <-r.unsaid:
		case <-ctx.Done():
			return
		}
		timer.Reset(ackDelay)
		select {
		case <-timer.C:
		case <-ctx.Done():
			return
		}
		for _, l := range *r.up.Load() {
			l.acknowledge(&out)
		}
		out.flush()
	}
}

// acknowledge tells the process what was read since it was told last. Of the messages
// without a token only those that have left our queues: the others go with us.
func (l *Link) acknowledge(out *outbox) {
	l.acks.mu.Lock()
	a := l.acks.read
	inside := uint64(max(l.acks.inside.Load(), 0))
	a.Silent = max(a.Silent-min(inside, a.Silent), l.acks.said.Silent)
	changed := a != l.acks.said
	l.acks.said = a
	l.acks.mu.Unlock()
	if changed && l.control(func(dst []byte) []byte { return wire.AppendAck(dst, &a) }) {
		out.mark(l)
	}
}

// acked handles the ack of a process. One that goes back, or beyond what was sent, is
// ignored.
func (l *Link) acked(body []byte) error {
	var a wire.Ack
	if err := a.Parse(body); err != nil {
		return err
	}
	sent := l.queue.Stats().Silent
	l.acks.mu.Lock()
	defer l.acks.mu.Unlock()
	if a.Silent > sent || a.Silent < l.acks.got.Silent || a.Messages < l.acks.got.Messages {
		l.counters.strays.Add(1)
		return nil
	}
	l.acks.got, l.acks.told = a, true
	return nil
}

// countLost counts the messages without a token that went down with the link: those
// that were not acknowledged, or, if the process never says what it reads, those that
// were not written.
func (l *Link) countLost() {
	s := l.queue.Stats()
	lost := uint64(s.Lost)
	l.acks.mu.Lock()
	if l.acks.told {
		lost = s.Silent - l.acks.got.Silent
	}
	l.acks.mu.Unlock()
	l.counters.to[shared.CodeProcessLost].Add(lost)
}
