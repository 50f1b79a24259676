package socket

import "time"

// sweep forgets datagram sources that were not heard for idle_timeout, until the
// service stops. One goroutine for all: a source has no timer.
func (s *SocketService) sweep() {
	defer s.tasks.Done()
	every := min(max(s.idle/4, 10*time.Millisecond), 15*time.Second)
	for s.pause(every) {
		silent := time.Now().Add(-s.idle).UnixNano()
		for _, sl := range s.allSlots() {
			sl.forget(func(src *source) bool { return src.seen < silent }, errIdle)
		}
	}
}
