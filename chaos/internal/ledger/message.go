package ledger

import (
	"fmt"
	"time"
)

// Message is one that a client sent, or is about to send.
type Message struct {
	From *Client
	N    int // its number among those of From, from 0; its id, if it has one
	ID   bool

	to       string // the address: order is promised for each
	at       time.Time
	void     bool
	copies   []delivery
	extra    []*Client // got a copy that nobody was sure to owe: they joined meanwhile
	group    bool
	answers  int
	answer   Answer
	answered time.Time
}

// delivery is one copy that is owed.
type delivery struct {
	to   *Client // the sender itself for a message to a handler, whose response it gets
	seen bool
}

// Answer is a receipt, or an error with its code.
type Answer struct {
	Code      string // of an error; empty for a receipt
	Delivered int
	Failed    map[string]int
}

// unknown reports whether a code says that nobody knows what became of the message.
func unknown(code string) bool { return code == "timeout" || code == "process_lost" }

// Sent opens a message from a client to an address, before it is written. It owes a
// copy to each of to; group says that more clients may get one.
func (b *Book) Sent(from *Client, address string, group bool, to []*Client, id bool, at time.Time) *Message {
	b.mu.Lock()
	defer b.mu.Unlock()
	m := &Message{From: from, N: from.next, ID: id, to: address, at: at, group: group, copies: make([]delivery, len(to))}
	from.next++
	for i, c := range to {
		m.copies[i].to = c
	}
	b.messages[key{from.number, m.N}] = m
	return m
}

// Unsent takes back a message that could not be written. If it arrives all the same
// it counts.
func (b *Book) Unsent(m *Message) {
	b.mu.Lock()
	defer b.mu.Unlock()
	m.void = true
}

// Arrived notes that message n of the client with this number reached c.
func (b *Book) Arrived(c *Client, from, n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	m := b.messages[key{from, n}]
	if m == nil {
		b.broken("%s got message %d of client %d, which was never sent", c.Name, n, from)
		return
	}
	if !m.see(c) {
		b.totals.Duplicated++
		b.broken("%s got message %d of %s to %s twice", c.Name, n, m.From.Name, m.to)
		return
	}
	l := lane{c.number, from, m.to}
	if last, ok := b.last[l]; ok && n < last {
		b.totals.Reordered++
		b.broken("%s got message %d of %s to %s after %d", c.Name, n, m.From.Name, m.to, last)
		return
	}
	b.last[l] = n
	if !m.group && !m.owes(c) {
		b.broken("%s got message %d of %s to %s", c.Name, n, m.From.Name, m.to)
	}
}

// see notes the copy for c and reports whether it is the first.
func (m *Message) see(c *Client) bool {
	for i := range m.copies {
		if d := &m.copies[i]; d.to.is(c) {
			first := !d.seen
			d.seen = true
			return first
		}
	}
	for _, e := range m.extra {
		if e == c {
			return false
		}
	}
	m.extra = append(m.extra, c)
	return true
}

func (m *Message) owes(c *Client) bool {
	for i := range m.copies {
		if m.copies[i].to.is(c) {
			return true
		}
	}
	return false
}

// Answered notes an answer that c got, to message n of the client with this number:
// itself, or who it was before its datagrams got another id.
func (b *Book) Answered(c *Client, from, n int, a Answer, at time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	m := b.messages[key{from, n}]
	if m == nil || !m.ID || m.From.Name != c.Name {
		b.broken("%s got an answer to message %d of client %d, which wanted none: %+v", c.Name, n, from, a)
		return
	}
	if m.answers++; m.answers > 1 {
		b.broken("%s got answer %d to its message %d to %s: %+v after %+v", c.Name, m.answers, n, m.to, a, m.answer)
		return
	}
	m.answer, m.answered = a, at
}

// Unanswered counts the messages with an id whose sender still waits for an answer.
func (b *Book) Unanswered() (n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, m := range b.messages {
		if m.waits() {
			n++
		}
	}
	return n
}

func (m *Message) waits() bool {
	return m.ID && !m.void && m.answers == 0 && m.From.ended.IsZero()
}

func (m *Message) String() string {
	return fmt.Sprintf("message %d of %s to %s", m.N, m.From.Name, m.to)
}
