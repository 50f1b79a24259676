package relay

import (
	"sync"

	"github.com/antano/antano/shared"
	"github.com/antano/antano/shared/wire"
)

// acks count the messages of a link that were read, at either end.
type acks struct {
	mu   sync.Mutex
	read wire.Ack // from the process, by now
	said wire.Ack // what it was told of that
	got  wire.Ack // what it has said that it read
	told bool     // it has said so at all
}

// count notes a message that was read. Only the reader calls it; publish shows it.
func (rd *reader) count(m *wire.Message) {
	rd.read.Messages++
	if m.Token == 0 {
		rd.read.Silent++
	}
}

// acknowledge tells the process what was read since it was told last.
func (l *Link) acknowledge(out *outbox) {
	l.acks.mu.Lock()
	a := l.acks.read
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
