package link

import (
	"sync"
	"time"

	"github.com/antano/antano/shared/wire"
)

// ackDelay is how long a message that was read may wait for its ack.
const ackDelay = 20 * time.Millisecond

// acks tells the manager how many messages were read from its link.
type acks struct {
	due chan struct{}

	mu         sync.Mutex
	read, said wire.Ack
}

func (a *acks) init() { a.due = make(chan struct{}, 1) }

// note says what was read by now.
func (a *acks) note(read wire.Ack) {
	a.mu.Lock()
	changed := a.read != read
	a.read = read
	a.mu.Unlock()
	if changed {
		select {
		case a.due <- struct{}{}:
		default:
		}
	}
}

// restart forgets a link that is gone: the next one is counted from 0.
func (a *acks) restart() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.read, a.said = wire.Ack{}, wire.Ack{}
}

// next returns the ack to send, if there is one.
func (a *acks) next() (wire.Ack, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	changed := a.read != a.said
	a.said = a.read
	return a.said, changed
}

// acknowledge sends acks until the link ends.
func (l *Link) acknowledge() {
	for {
		select {
		case <-l.acks.due:
		case <-l.ctx.Done():
			return
		}
		timer := time.NewTimer(ackDelay)
		select {
		case <-timer.C:
		case <-l.ctx.Done():
			timer.Stop()
			return
		}
		l.ack()
	}
}

// ack sends the ack that is due, if one is.
func (l *Link) ack() {
	if a, due := l.acks.next(); due {
		if l.Control(func(dst []byte) []byte { return wire.AppendAck(dst, &a) }) == nil {
			l.Flush()
		}
	}
}

// unread returns how many messages without a token a manager that is gone was sent and
// had not acknowledged. The queue is detached.
func (l *Link) unread(acked wire.Ack) uint64 {
	sent := l.queue.SentSilent()
	here := sent - l.sentBefore
	l.sentBefore = sent
	return here - min(here, acked.Silent)
}
