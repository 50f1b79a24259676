package hub

import (
	"sync"
	"time"

	"github.com/antano/antano/shared"
	"github.com/antano/antano/shared/wire"
)

// owed is a message from the link whose sender wants to know what became of it. It
// is reported once: when the last copy has ended, or in part when it has taken too
// long.
type owed struct {
	hub        *Hub
	due        time.Time
	mu         sync.Mutex
	result     wire.Result
	open       int
	reported   bool
	prev, next *owed // in owedList

	remote *incoming // the account is kept by the process that the item came from
	number uint64    // of the item there
}

// owe opens an account for a message with one copy; nil when nobody wants a result.
func (h *Hub) owe(token uint64) *owed {
	if token == 0 {
		return nil
	}
	o := &owed{hub: h, due: time.Now().Add(reportAfter), result: wire.Result{Token: token}, open: 1}
	h.open.push(o)
	h.clock.arm()
	return o
}

// more adds a copy.
func (o *owed) more() {
	if o == nil {
		return
	}
	o.mu.Lock()
	o.open++
	o.mu.Unlock()
}

// end closes n copies with the code, CodeNone meaning delivered.
func (o *owed) end(code shared.Code, n int) {
	switch {
	case o == nil:
	case o.remote != nil:
		o.remote.ended(o.number, code)
	default:
		o.finish(func() { o.add(code, n); o.open -= n })
	}
}

// close ends the copy that owe opened, where the real ones were counted by more.
func (o *owed) close() {
	if o != nil {
		o.finish(func() { o.open-- })
	}
}

// finish applies change and reports when that was the last copy.
func (o *owed) finish(change func()) {
	o.mu.Lock()
	change()
	last := o.open <= 0 && !o.reported
	o.reported = o.reported || last
	o.mu.Unlock()
	if last {
		o.hub.open.remove(o)
		o.hub.report(&o.result)
	}
}

func (o *owed) add(code shared.Code, n int) {
	switch {
	case o.reported || n == 0:
	case code == shared.CodeNone:
		o.result.Delivered += uint32(n)
	default:
		o.result.Fail(code, uint32(n))
	}
}

// report sends a result that nobody changes any more.
func (h *Hub) report(r *wire.Result) {
	h.relay.Control(func(dst []byte) []byte { return wire.AppendResult(dst, r) })
}

// owedList holds what is open, oldest first.
type owedList struct {
	mu    sync.Mutex
	root  owed // sentinel of the ring
	count int
}

func (l *owedList) push(o *owed) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.root.next == nil {
		l.root.next, l.root.prev = &l.root, &l.root
	}
	o.prev, o.next = l.root.prev, &l.root
	o.prev.next, l.root.prev = o, o
	l.count++
}

func (l *owedList) remove(o *owed) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if o.next != nil {
		o.prev.next, o.next.prev = o.next, o.prev
		o.prev, o.next = nil, nil
		l.count--
	}
}

func (l *owedList) len() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.count
}

// oldest returns the oldest, if its time has come, and whether there is any.
func (l *owedList) oldest(now time.Time) (o *owed, more bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.count == 0 {
		return nil, false
	}
	if o = l.root.next; now.Before(o.due) {
		return nil, true
	}
	return o, true
}

// sweep reports what is overdue: the copies that are still open as timeout.
func (l *owedList) sweep(now time.Time) (more bool) {
	for {
		o, more := l.oldest(now)
		if o == nil {
			return more
		}
		o.expire()
	}
}

func (o *owed) expire() {
	o.mu.Lock()
	first := !o.reported
	if first {
		o.add(shared.CodeTimeout, o.open)
		o.reported = true
	}
	o.mu.Unlock()
	o.hub.open.remove(o)
	if first {
		o.hub.report(&o.result)
	}
}
