package relay

import (
	"sync"
	"sync/atomic"

	"github.com/antano/antano/shared/wire"
)

// lane is the byte window of one source to one destination. used is what the
// source has not got back yet, owed the part of it that left the queues.
type lane struct {
	src    *Link
	id     wire.Lane
	used   atomic.Int64
	owed   atomic.Int64
	listed atomic.Bool
}

// lanes are those of one source. Only its reader looks one up; who pays credit has
// the pointer.
type lanes struct {
	groups lane // of all of them; it has no window
	byID   map[wire.Lane]*lane
	last   *lane
	count  atomic.Int64 // len(byID)

	mu    sync.Mutex
	owing []*lane // owed something, less than a quarter window
}

func (l *Link) lane(id wire.Lane) *lane {
	if last := l.lanes.last; last != nil && last.id == id {
		return last
	}
	ln := l.lanes.byID[id]
	if ln == nil {
		if l.lanes.byID == nil {
			l.lanes.byID = make(map[wire.Lane]*lane)
		}
		ln = &lane{src: l, id: id}
		l.lanes.byID[id] = ln
		l.lanes.count.Add(1)
	}
	l.lanes.last = ln
	return ln
}

// charge books n bytes and reports whether the source kept to its window. One message
// may overdraw it, and a source that forgot a lane it is owed a rest of may be off by
// a quarter: what comes at more than twice the window is dropped.
func (ln *lane) charge(n int) bool {
	return ln.used.Add(int64(n))-int64(n) < 2*int64(ln.src.r.cfg.Window)
}

// credit gives n bytes back: at once from a quarter of the window on, otherwise
// with the next sweep.
func (ln *lane) credit(n int) {
	if ln.owed.Add(int64(n)) >= int64(ln.src.r.cfg.Window)/4 {
		ln.pay()
		return
	}
	if ln.listed.CompareAndSwap(false, true) {
		o := &ln.src.lanes
		o.mu.Lock()
		o.owing = append(o.owing, ln)
		o.mu.Unlock()
		ln.src.r.rouse()
	}
}

// pay sends what is owed. The source's own writer flushes it, since credit falls
// due in the middle of writing to somebody else.
func (ln *lane) pay() {
	n := ln.owed.Swap(0)
	if n == 0 {
		return
	}
	ln.used.Add(-n)
	ln.src.pay(ln.id, n)
}

func (l *Link) pay(id wire.Lane, n int64) {
	c := wire.Credit{Lane: id, Bytes: uint32(n)}
	if l.control(func(dst []byte) []byte { return wire.AppendCredit(dst, &c) }) {
		l.queue.Wake()
	}
}

// settle pays for charges that left a queue.
func settle(charges []wire.Charge) {
	for _, c := range charges {
		ln := c.Account.(*lane)
		ln.src.acks.inside.Add(int64(-c.Silent))
		if c.Bytes > 0 {
			ln.credit(c.Bytes)
		}
		ln.src.r.rouse() // for what was not acknowledged because it was inside
	}
}

// settled reports whether nothing is owed.
func (o *lanes) settled() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.owing) == 0
}

// payAll pays every lane that is owed something.
func (l *Link) payAll() {
	o := &l.lanes
	o.mu.Lock()
	owing := o.owing
	o.owing = nil
	o.mu.Unlock()
	for _, ln := range owing {
		ln.listed.Store(false)
		ln.pay()
	}
}
