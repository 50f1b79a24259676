package hub

import (
	"errors"
	"strings"
	"sync"
	"sync/atomic"
)

// sink is a Writer that takes room bytes, or all when room is negative.
type sink struct {
	mu      sync.Mutex
	room    int
	got     []string
	part    []byte // of the message that is not whole yet
	changed chan struct{}
	closed  bool
	fail    error
	refuse  func(message []byte) error
	active  atomic.Int32
	calls   int
}

func (s *sink) Write(messages [][]byte, wait bool) (n int, err error) {
	if s.active.Add(1) != 1 {
		panic("two calls of Write at a time")
	}
	defer s.active.Add(-1)
	for {
		s.mu.Lock()
		s.calls++
		for len(messages) > 0 && err == nil {
			m := messages[0]
			if s.refuse != nil {
				if err = s.refuse(m); err != nil {
					break
				}
			}
			k := len(m)
			if s.room >= 0 {
				k = min(k, s.room)
				s.room -= k
			}
			s.part = append(s.part, m[:k]...)
			n += k
			if k < len(m) {
				messages[0] = m[k:]
				err = ErrWouldBlock
				break
			}
			s.got = append(s.got, strings.TrimSuffix(string(s.part), "\n"))
			s.part = nil
			messages = messages[1:]
		}
		if s.fail != nil {
			err = s.fail
		}
		if s.closed {
			err = errors.New("closed")
		}
		changed := s.changed
		s.mu.Unlock()
		if err != ErrWouldBlock || !wait {
			return n, err
		}
		err = nil
		<-changed
	}
}

func (s *sink) Close() error {
	s.change(func() { s.closed = true })
	return nil
}

// change alters the sink and wakes a Write that waits.
func (s *sink) change(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f()
	close(s.changed)
	s.changed = make(chan struct{})
}

func (s *sink) open() { s.change(func() { s.room = -1 }) }

func (s *sink) take() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	got := s.got
	s.got = nil
	return got
}
