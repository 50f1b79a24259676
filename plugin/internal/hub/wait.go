package hub

import "time"

type waitResult uint8

const (
	waitReady   waitResult = iota
	waitExpired            // push_back is used up
	waitEnded              // who waits is gone, or is moving
)

type flusher interface{ Flush() }

// wait is how long one message of one source may be held back, over all queues that
// it meets. One goroutine uses it.
type wait struct {
	can     bool // false: nothing waits
	limit   time.Duration
	until   time.Time       // zero before the first wait
	done    <-chan struct{} // the source is gone
	stopped <-chan struct{} // the service is gone
	leaving <-chan struct{} // the source is being handed over; nil: never
	moved   bool            // that is why it ended
	flush   flusher         // writes what the source produced so far
}

// on waits for ch.
func (w *wait) on(ch <-chan struct{}) waitResult { return w.at(ch, time.Time{}) }

// at waits for ch, at most until the earlier of the source's limit and latest.
func (w *wait) at(ch <-chan struct{}, latest time.Time) waitResult {
	now := time.Now()
	if w.until.IsZero() {
		w.until = now.Add(w.limit)
	}
	until := w.until
	if !latest.IsZero() && latest.Before(until) {
		until = latest
	}
	select {
	case <-ch:
		return waitReady
	default:
	}
	if !now.Before(until) {
		return waitExpired
	}
	w.flush.Flush()
	timer := time.NewTimer(until.Sub(now))
	defer timer.Stop()
	select {
	case <-ch:
		return waitReady
	case <-w.done:
		return waitEnded
	case <-w.stopped:
		return waitEnded
	case <-w.leaving:
		w.moved = true
		return waitEnded
	case <-timer.C:
		return waitExpired
	}
}
