package manager

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/antano/antano/manager/internal/event"
	"github.com/antano/antano/manager/internal/process"
	"github.com/antano/antano/manager/internal/restart"
	"github.com/antano/antano/shared"
)

// Why is how a process came to be as it is, as `antano why --json` prints it. Source:
// docs/control.md "Why".
type Why struct {
	Service    string        `json:"service"`
	ServiceID  int64         `json:"service_id"`
	ProcessID  int           `json:"process_id"`
	PID        int           `json:"pid"`
	State      string        `json:"state"`
	Generation int           `json:"generation"`
	Restarts   int           `json:"restarts"`
	UptimeS    float64       `json:"uptime_s"`
	Reason     string        `json:"reason"` // for its state; may be empty
	Advice     string        `json:"advice"` // what to do, a sentence
	NextTry    *time.Time    `json:"next_try"`
	Backoff    *WhyBackoff   `json:"backoff"` // null when nothing counts against it
	Health     *WhyHealth    `json:"health"`  // null while it is healthy
	Exits      []ProcessExit `json:"exits"`   // the last ten, newest first
}

// WhyBackoff is what the restart policy decided about the last unplanned exit.
type WhyBackoff struct {
	Decision string     `json:"decision"`
	Step     int        `json:"step"` // of the doubling delay, from 1; 0 when there was no delay
	DelayS   float64    `json:"delay_s"`
	Resets   string     `json:"resets"`    // what wipes the slate, a sentence
	ResetsAt *time.Time `json:"resets_at"` // when, if it stays ready
}

// WhyHealth is what is wrong with a process that runs.
type WhyHealth struct {
	Misses  int    `json:"misses"` // checks in a row that failed
	Of      int    `json:"of"`     // so many end it
	Failing string `json:"failing"`
}

// why explains the process of w.
func (w *worker) why(now time.Time) Why {
	st, params := w.process.Status(), w.service.plan().Params
	y := Why{
		Service: params.Name, ServiceID: params.ID, ProcessID: w.id, PID: st.Ref.PID, State: st.State.String(),
		Generation: st.Ref.Generation, Restarts: st.Restarts, Reason: st.Reason, Exits: []ProcessExit{},
	}
	if st.Ref.PID != 0 {
		y.UptimeS = now.Sub(st.StartedAt).Seconds()
	}
	if !st.NextTry.IsZero() {
		y.NextTry = &st.NextTry
	}
	w.evidence.mu.Lock()
	y.Exits = append(y.Exits, w.evidence.exits...)
	if w.evidence.decided {
		y.Backoff = backoff(w.evidence.decision, st, now)
	}
	if w.evidence.misses > 0 && st.State == event.Ready {
		y.Health = &WhyHealth{Misses: w.evidence.misses, Of: w.service.spec().params.Health.Misses, Failing: w.evidence.failing}
	}
	w.evidence.mu.Unlock()
	y.Advice = y.advise()
	return y
}

// backoff says what counts against a process; nothing once that is forgotten.
func backoff(d restart.Decision, st process.Status, now time.Time) *WhyBackoff {
	b := &WhyBackoff{Decision: d.String(), Step: d.Step, DelayS: d.After.Seconds()}
	switch d.Action {
	case restart.Never:
		b.Resets = "a change of its params or of its binary"
	case restart.Failed:
		b.Resets = "a start that becomes ready, and stays so"
	default:
		b.Resets = fmt.Sprintf("being ready for %s", d.Forgotten)
		if st.State == event.Ready && !st.ReadyAt.IsZero() {
			at := st.ReadyAt.Add(d.Forgotten)
			if !now.Before(at) {
				return nil
			}
			b.ResetsAt = &at
		}
	}
	return b
}

// advise says what to do.
func (y *Why) advise() string {
	who := fmt.Sprintf("%s/%d", y.Service, y.ProcessID)
	look := fmt.Sprintf("'antano logs %s'", who)
	var last ProcessExit
	if len(y.Exits) > 0 {
		last = y.Exits[0]
	}
	config := last.Code != nil && *last.Code == shared.ExitConfig
	running := slices.Contains([]string{event.Ready.String(), event.Starting.String(), event.Draining.String()}, y.State)
	switch {
	case y.Health != nil:
		return fmt.Sprintf("it runs and fails its health checks; when %d in a row have failed it is replaced and its stacks are in %s: look for what blocks there", y.Health.Of, look)
	case y.State == event.Stopped.String():
		return fmt.Sprintf("it was stopped; start it with 'antano start %s'", who)
	case running && len(y.Exits) == 0 && y.Generation > 1:
		return "nothing to do: how its earlier generations ended is not known any more"
	case running && len(y.Exits) == 0:
		return "nothing to do: it has never ended"
	case running && y.Backoff == nil:
		return "nothing to do: its earlier exits were planned, or are forgotten"
	case config:
		return fmt.Sprintf("its configuration is wrong: read its last lines, correct params or settings, then run 'antano reload'; %s shows more", look)
	case strings.HasPrefix(last.Cause, "hung"):
		return fmt.Sprintf("it hung and was ended: its stacks are in %s; look for what blocks there", look)
	case last.Signal != nil && *last.Signal == "SIGKILL":
		return "somebody killed it; if nobody did, the kernel was short of memory: see 'dmesg' and the limits of its cgroup"
	case y.State == event.Failed.String():
		return fmt.Sprintf("mend the cause that its last lines and %s show; it is tried again at next_try, or at once with 'antano restart %s'", look, who)
	}
	return fmt.Sprintf("read its last lines and %s for the cause", look)
}
