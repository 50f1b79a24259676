package link

import (
	"fmt"
	"sync"

	"github.com/antano/antano/shared/wire"
)

// slots remembers the newest set of slots that the manager wants read; what was
// asked before it is of no interest any more.
type slots struct {
	mu      sync.Mutex
	want    uint64
	has     bool
	started bool
	reading uint64 // what is read, or about to be
	failed  string
	ended   bool
	wake    chan struct{}
	end     chan struct{}
}

func (s *slots) init() {
	s.wake = make(chan struct{}, 1)
	s.end = make(chan struct{})
}

func (s *slots) failing() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.failed
}

// set records what changed and wakes the assigner.
func (s *slots) set(change func()) {
	s.mu.Lock()
	change()
	ready := s.started && s.has
	s.mu.Unlock()
	if ready {
		select {
		case s.wake <- struct{}{}:
		default:
		}
	}
}

// next takes the set to assign now.
func (s *slots) next() (slots uint64, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	ok, s.has = s.has, false
	if ok {
		s.reading |= s.want
	}
	return s.want, ok
}

// replay appends what is read: a successor must give it to nobody else before it is
// confirmed that it is not.
func (s *slots) replay(dst []byte) []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	return wire.AppendSlots(dst, wire.TypeSlotsOK, s.reading)
}

func (l *Link) takeSlots(body []byte) error {
	v, err := wire.ParseU64(body)
	if err != nil {
		return err
	}
	if l.cfg.Assign == nil {
		return l.confirmSlots(v)
	}
	l.slots.set(func() { l.slots.want, l.slots.has = v, true })
	return nil
}

// AssignSlots begins to assign slots: before the service has started there is
// nobody to read them.
func (l *Link) AssignSlots() {
	l.slots.set(func() { l.slots.started = true })
}

// EndSlots assigns no slots any more and returns when none is being assigned.
func (l *Link) EndSlots() {
	l.slots.mu.Lock()
	if !l.slots.ended {
		l.slots.ended = true
		close(l.slots.end)
	}
	l.slots.mu.Unlock()
	l.assigner.Wait()
}

func (l *Link) assignSlots() {
	for {
		select {
		case <-l.down:
			return
		case <-l.slots.end:
			return
		case <-l.slots.wake:
		}
		v, ok := l.slots.next()
		if !ok {
			continue
		}
		if err := l.cfg.Assign(v); err != nil {
			l.slots.set(func() { l.slots.failed = fmt.Sprintf("read slots %#x: %v", v, err) })
			continue
		}
		l.slots.set(func() { l.slots.failed, l.slots.reading = "", v })
		if l.confirmSlots(v) != nil {
			return
		}
		l.Flush()
	}
}

func (l *Link) confirmSlots(v uint64) error {
	return l.Control(func(dst []byte) []byte { return wire.AppendSlots(dst, wire.TypeSlotsOK, v) })
}
