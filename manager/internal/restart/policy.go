// Package restart decides when a process that exited is started again. It is pure:
// no clock, no goroutine, no process; one goroutine uses a Tracker.
package restart

import (
	"fmt"
	"time"
)

// Policy is the `restart` of params, all five of them. Source:
// docs/architecture.md "Supervision".
type Policy struct {
	Delay    time.Duration // the first delay; it doubles
	MaxDelay time.Duration // up to this
	Limit    int           // unplanned exits that fail the process; 0: never
	Window   time.Duration // within which they are counted
	Probe    time.Duration // between the starts of a failed process
}

// forgetAfter is the least that a process must have been ready for its earlier
// exits to be forgotten.
const forgetAfter = 30 * time.Second

// jitter is the part of a delay by which it varies, either way.
const jitter = 0.2

// Action is what to do about an exit.
type Action uint8

// The actions.
const (
	Now     Action = iota // start again at once
	Backoff               // start again after a delay
	Failed                // failed: one probe start after a while
	Never                 // failed until its params or its binary change
)

var actionNames = [...]string{"restart at once", "backoff", "failed", "not restarted"}

func (a Action) String() string { return actionNames[a] }

// Decision is the answer to one exit.
type Decision struct {
	Action Action
	After  time.Duration // until the next start; 0 for Now and Never
	Step   int           // of the backoff, counted from 1; 0 otherwise
	// Forgotten is how long the process must be ready for its exits to be forgotten.
	Forgotten time.Duration
	Reason    string // what was counted, for people
}

// String is what a person reads: what happens next and why.
func (d Decision) String() string {
	switch d.Action {
	case Now:
		return "restarted at once: " + d.Reason
	case Backoff:
		return fmt.Sprintf("next start in %s (backoff step %d, forgotten after %s of being ready): %s",
			round(d.After), d.Step, round(d.Forgotten), d.Reason)
	case Failed:
		return fmt.Sprintf("failed, one probe start in %s: %s", round(d.After), d.Reason)
	}
	return "failed, not started again until its params or its binary change: " + d.Reason
}

func round(d time.Duration) time.Duration {
	if d > time.Second {
		return d.Round(100 * time.Millisecond)
	}
	return d.Round(time.Millisecond)
}
