package process

import (
	"context"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/antano/antano/manager/internal/event"
)

// life is what the process does, what the policy says, when it is told to stop and to
// kill, and every move and call that must come of it.
type life struct {
	scripts []script
	policy  []Decision
	stop    time.Duration
	kill    time.Duration // after the start; 0: never
	want    string
	seen    []UnplannedExit
}

func runLives(t *testing.T, lives map[string]life) {
	for name, c := range lives {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := &world{t: t, started: time.Now(), scripts: c.scripts}
				policy := &steps{t: t, list: c.policy}
				p := New(Config{Ref: event.Ref{Service: 2, Name: "chat", Process: 3}, OnEvent: w.onEvent,
					Settings: Settings{Launch: w.launch, Policy: policy, Timeouts: timeouts, Health: health}})
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				if c.stop < 0 {
					cancel()
				}
				go func() {
					time.Sleep(max(c.stop, 0))
					cancel()
				}()
				if c.kill > 0 {
					go func() {
						time.Sleep(c.kill)
						p.Kill()
						p.Kill()
					}()
				}
				p.Run(ctx)
				synctest.Wait()
				if want := strings.ReplaceAll(c.want, "\t", ""); strings.Join(w.trace, "\n") != want {
					t.Errorf("got\n%s\nwant\n%s", strings.Join(w.trace, "\n"), want)
				}
				if !slices.Equal(policy.seen, c.seen) {
					t.Errorf("the policy saw %v, want %v", policy.seen, c.seen)
				}
				if left := w.living; left != 0 && !c.scripts[0].undead {
					t.Errorf("%d processes are left", left)
				}
				if w.open != 0 {
					t.Errorf("%d instances are not closed", w.open)
				}
				checkEnd(t, p)
			})
		})
	}
}

func checkEnd(t *testing.T, p *Process) {
	t.Helper()
	st := p.Status()
	if st.State != event.Stopped || st.Ref.PID != 0 || st.Ref.Process != 3 {
		t.Errorf("status %+v", st)
	}
	if st.Ref.Generation > 0 && (st.LastExit == nil || st.StartedAt.IsZero()) {
		t.Errorf("no evidence in %+v", st)
	}
	if st.Restarts != max(st.Ref.Generation-1, 0) {
		t.Errorf("%d restarts in generation %d", st.Restarts, st.Ref.Generation)
	}
	select {
	case <-p.Settled():
	default:
		t.Error("not settled")
	}
}
