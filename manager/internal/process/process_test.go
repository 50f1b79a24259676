package process

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/antano/antano/manager/internal/event"
)

var (
	timeouts = Timeouts{Start: 10 * time.Second, Drain: 30 * time.Second, Stop: 5 * time.Second}
	health   = Health{Interval: 5 * time.Second, Timeout: 2 * time.Second, Misses: 3}
	atOnce   = Decision{Next: event.Starting, Reason: "at once"}
	backoff  = Decision{Next: event.Backoff, After: 3 * time.Second, Reason: "later"}
	failed   = Decision{Next: event.Failed, After: 30 * time.Second, Reason: "too often"}
	final    = Decision{Next: event.Failed, Reason: "wrong configuration"}
)

const s = time.Second

// TestStatusAndSettled looks from outside while the process lives.
func TestStatusAndSettled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{t: t, started: time.Now(), scripts: []script{{startTakes: 2 * s, exitAfter: s}, {exitAfter: s}, {startTakes: 2 * s, exitAfter: 4 * s}}}
		p := New(Config{Ref: event.Ref{Name: "chat", Process: 3},
			Settings: Settings{Launch: w.launch, Policy: &steps{t: t, list: []Decision{backoff, failed}}, Timeouts: timeouts}})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { p.Run(ctx); close(done) }()
		at := func(seconds float64, want string) {
			t.Helper()
			time.Sleep(time.Until(w.started.Add(time.Duration(seconds * float64(time.Second)))))
			synctest.Wait()
			st, settled, next := p.Status(), false, 0.0
			select {
			case <-p.Settled():
				settled = true
			default:
			}
			if !st.NextTry.IsZero() {
				next = st.NextTry.Sub(w.started).Seconds()
			}
			got := fmt.Sprintf("%s %d pid %d restarts %d next %g ready %t settled %t", st.State, st.Ref.Generation, st.Ref.PID,
				st.Restarts, next, !st.ReadyAt.IsZero(), settled)
			if got != want {
				t.Errorf("at %g: %s, want %s", seconds, got, want)
			}
		}
		at(0.5, "starting 1 pid 101 restarts 0 next 0 ready false settled false")
		at(1.5, "backoff 1 pid 0 restarts 0 next 4 ready false settled false")
		at(4.5, "ready 2 pid 102 restarts 1 next 0 ready true settled true")
		at(5.5, "failed 2 pid 0 restarts 1 next 35 ready true settled true")
		at(36, "starting 3 pid 103 restarts 2 next 0 ready false settled true")
		at(38, "ready 3 pid 103 restarts 2 next 0 ready true settled true")
		cancel()
		<-done
		at(39, "stopped 3 pid 0 restarts 2 next 0 ready true settled true")
	})
}
