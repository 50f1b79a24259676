package socket

import "time"

// sweepEvery is how often the kernel is asked for drops.
const sweepEvery = time.Second

// sweep forgets datagram sources that were not heard for idle_timeout, and counts
// what the kernel dropped, until the service stops. One goroutine for all: a source
// has no timer.
func (s *SocketService) sweep() {
	defer s.tasks.Done()
	every := min(max(s.idle/4, 10*time.Millisecond), sweepEvery)
	for s.pause(every) {
		silent := time.Now().Add(-s.idle).UnixNano()
		for _, sl := range s.allSlots() {
			sl.forget(func(src *source) bool { return src.seen < silent && src.stays() }, endSource(errIdle))
			sl.seeDrops()
		}
	}
}
