package socket

import "time"

const (
	// sweepEvery is how often the kernel is asked for drops.
	sweepEvery = time.Second
	// sweepQuiet is the same while no datagram comes: an idle process uses no processor.
	// A reader that is stuck is found so, too.
	sweepQuiet = 10 * time.Second
)

// sweep forgets datagram sources that were not heard for idle_timeout, and counts
// what the kernel dropped, until the service stops. One goroutine for all: a source
// has no timer.
func (s *SocketService) sweep() {
	defer s.tasks.Done()
	for s.awaitSweep() {
		silent := time.Now().Add(-s.idle).UnixNano()
		for _, sl := range s.allSlots() {
			sl.forget(func(src *source) bool { return src.seen < silent && src.stays() }, endSource(errIdle))
			sl.seeDrops()
		}
	}
}

// awaitSweep waits until it is time to sweep; false says that the service stops.
func (s *SocketService) awaitSweep() bool {
	most := max(s.idle/4, 10*time.Millisecond)
	if !s.stirred.Swap(false) {
		quiet := time.NewTimer(min(most, sweepQuiet))
		defer quiet.Stop()
		select {
		case <-quiet.C:
			return true
		case <-s.stir:
		case <-s.done:
			return false
		}
	}
	return s.pause(min(most, sweepEvery))
}

// heard notes that datagrams have come.
func (s *SocketService) heard() {
	if !s.stirred.Load() && s.stirred.CompareAndSwap(false, true) {
		select {
		case s.stir <- struct{}{}:
		default:
		}
	}
}
