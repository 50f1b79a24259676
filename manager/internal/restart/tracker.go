package restart

import (
	"fmt"
	"time"
)

// Exit is what the policy looks at.
type Exit struct {
	WasReady bool
	ReadyFor time.Duration // 0 when it was not
	Config   bool          // exit code 78, or a failed check of its configuration
}

// Tracker remembers the unplanned exits of one process.
type Tracker struct {
	policy Policy
	random func() float64

	exits   []time.Time // within the window, oldest first, at most Limit
	unready int         // in a row without becoming ready
	next    time.Duration
	last    time.Duration // the last delay without jitter
	step    int
	counted bool // an exit is remembered
	failed  bool
}

// NewTracker returns the tracker of a process that has never exited. random returns
// numbers in [0, 1).
func NewTracker(policy Policy, random func() float64) *Tracker {
	return &Tracker{policy: policy, random: random}
}

// Exit counts an unplanned exit and says what to do. A failed start is one too.
func (t *Tracker) Exit(now time.Time, e Exit) Decision {
	if e.WasReady && e.ReadyFor >= t.forgotten() {
		t.forget()
	}
	t.count(now, e.WasReady)
	if e.Config {
		t.failed = true
		return Decision{Action: Never, Reason: "its configuration is wrong"}
	}
	if reason := t.limit(e.WasReady); reason != "" {
		t.failed = true
		return Decision{Action: Failed, After: t.policy.Probe, Reason: reason}
	}
	t.failed = false
	first := !t.counted
	t.counted = true
	if first && e.WasReady {
		return Decision{Action: Now, Forgotten: t.forgotten(), Reason: "its first exit after being ready"}
	}
	return t.backoff(e.WasReady)
}

// forgotten is how long the process must be ready for what happened to be
// forgotten.
func (t *Tracker) forgotten() time.Duration { return max(forgetAfter, 2*t.last) }

func (t *Tracker) forget() { t.next, t.last, t.step, t.counted = 0, 0, 0, false }

func (t *Tracker) count(now time.Time, wasReady bool) {
	t.unready++
	if wasReady {
		t.unready = 0
	}
	if t.policy.Limit <= 0 {
		return
	}
	old := 0
	for old < len(t.exits) && now.Sub(t.exits[old]) >= t.policy.Window {
		old++
	}
	if len(t.exits)-old >= t.policy.Limit {
		old++
	}
	t.exits = append(t.exits[:0], t.exits[old:]...)
	t.exits = append(t.exits, now)
}

// limit says why the process has failed, or nothing. A probe that did not become
// ready leaves it failed.
func (t *Tracker) limit(wasReady bool) string {
	switch limit := t.policy.Limit; {
	case limit <= 0:
		return ""
	case t.failed && !wasReady:
		return fmt.Sprintf("its probe start did not become ready; %d starts in a row have not", t.unready)
	case t.unready >= limit:
		return fmt.Sprintf("%d starts in a row did not become ready", t.unready)
	case len(t.exits) >= limit:
		return fmt.Sprintf("%d unplanned exits within %s", len(t.exits), round(t.policy.Window))
	}
	return ""
}

func (t *Tracker) backoff(wasReady bool) Decision {
	if t.next == 0 {
		t.next = t.policy.Delay
	}
	t.last = min(t.next, t.policy.MaxDelay)
	t.next = 2 * t.last
	t.step++
	reason := "it did not become ready"
	if wasReady {
		reason = "it exited again soon after being ready"
	}
	factor := 1 - jitter + 2*jitter*t.random()
	return Decision{
		Action: Backoff, After: time.Duration(float64(t.last) * factor), Step: t.step,
		Forgotten: t.forgotten(), Reason: reason,
	}
}
