package process

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/antano/antano/manager/internal/event"
)

// TestLeave goes on with a generation that drains beside the next one, and beside none when
// the process is stopped. A replacement waits for its end.
func TestLeave(t *testing.T) {
	for name, c := range map[string]struct {
		held    bool
		replace bool
		leaving script
		want    string
	}{
		"beside the next one": {leaving: script{drainTakes: 4 * s}, want: `0 beside: 6 draining: replaced
			0 Drain within 30
			0 starting
			0 ready
			4 Stop
			4 beside: 6 stopped: replaced <6/106 code 0>
			20 draining: stopping
			20 Drain within 30
			20 Stop
			20 stopped: stopped as asked <7/107 code 0>`},
		"of a stopped process": {held: true, leaving: script{drainTakes: 4 * s}, want: `0 beside: 6 draining: replaced
			0 Drain within 30
			4 Stop
			4 beside: 6 stopped: replaced <6/106 code 0>`},
		"it hangs": {held: true, leaving: script{drainTakes: forever, stopHangs: true, ignoresTerm: true}, want: `0 beside: 6 draining: replaced
			0 Drain within 30
			20 kill
			20 beside: 6 stopped: replaced <6/106 code -1 killed>`},
		"a replacement waits": {replace: true, leaving: script{drainTakes: 4 * s}, want: `0 beside: 6 draining: replaced
			0 Drain within 30
			0 starting
			0 ready
			4 Stop
			4 beside: 6 stopped: replaced <6/106 code 0>
			4 beside: 8 starting: to replace generation 7
			4 beside: 8 ready
			4 move 107 to 108
			4 ready: replaced generation 7
			4 replace: <nil>
			4 beside: 7 draining: replaced
			4 Drain within 30
			4 Stop
			4 beside: 7 stopped: replaced <7/107 code 0>
			20 draining: stopping
			20 Drain within 30
			20 Stop
			20 stopped: stopped as asked <8/108 code 0>`},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := &world{t: t, started: time.Now(), scripts: append(make([]script, 5), c.leaving, script{}, script{})}
				settings := Settings{Launch: w.launch, Policy: &steps{t: t}, Timeouts: timeouts}
				ref := event.Ref{Name: "chat", Process: 3, Generation: 6}
				p := New(Config{Ref: ref, Settings: settings, Held: c.held, OnEvent: w.onEvent, Move: w.move})
				i, err := w.launch(t.Context(), 6)
				if err != nil {
					t.Fatal(err)
				}
				p.Leave(Leaving{Instance: i, Generation: 6})
				ctx, cancel := context.WithTimeout(t.Context(), 20*s)
				defer cancel()
				if c.leaving.stopHangs {
					go func() { <-ctx.Done(); p.Kill() }()
				}
				if c.replace {
					go func() {
						time.Sleep(s)
						w.log("replace: %v", p.Replace(context.Background(), settings))
					}()
				}
				p.Run(ctx)
				synctest.Wait()
				var want []string
				for line := range strings.Lines(c.want) {
					want = append(want, strings.TrimSpace(line))
				}
				if !sameTrace(w.trace, want) {
					t.Errorf("got\n%s\nwant\n%s", strings.Join(w.trace, "\n"), strings.Join(want, "\n"))
				}
				if w.living != 0 || w.open != 0 {
					t.Errorf("%d processes and %d instances are left", w.living, w.open)
				}
			})
		})
	}
}
