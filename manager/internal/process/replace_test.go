package process

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/antano/antano/manager/internal/event"
)

// command is one order of a test, and when the caller gives up waiting.
type command struct {
	at   time.Duration
	verb string // replace, start, stop, set
	wait time.Duration
}

func (c command) run(ctx context.Context, p *Process, s Settings) error {
	if c.wait > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, c.wait)
		defer cancel()
	}
	switch c.verb {
	case "replace":
		return p.Replace(ctx, s)
	case "start":
		return p.Start(ctx, s)
	case "stop":
		return p.Stop(ctx)
	}
	return p.Set(ctx, s)
}

// commandCase is what is asked of a process, and every move, call and answer of it.
type commandCase struct {
	scripts  []script
	policy   []Decision
	commands []command
	held     bool
	noMove   bool
	end      time.Duration
	kill     time.Duration
	want     string
}

func runCommands(t *testing.T, cases map[string]commandCase) {
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := &world{t: t, started: time.Now(), scripts: c.scripts}
				settings := Settings{Launch: w.launch, Policy: &steps{t: t, list: c.policy}, Timeouts: timeouts, Health: health}
				cfg := Config{Ref: event.Ref{Service: 2, Name: "chat", Process: 3}, Settings: settings, Held: c.held, OnEvent: w.onEvent, Move: w.move}
				if c.noMove {
					cfg.Move = nil
				}
				p := New(cfg)
				ctx, cancel := context.WithTimeout(t.Context(), c.end)
				defer cancel()
				var asked sync.WaitGroup
				for _, o := range c.commands {
					asked.Go(func() {
						time.Sleep(o.at)
						result := "done"
						if err := o.run(context.Background(), p, settings); err != nil {
							result = err.Error()
						}
						w.log("%s: %s", o.verb, result)
					})
				}
				if c.kill > 0 {
					asked.Go(func() {
						time.Sleep(c.kill)
						p.Kill()
					})
				}
				p.Run(ctx)
				asked.Wait()
				if want := strings.ReplaceAll(c.want, "\t", ""); !sameTrace(w.trace, strings.Split(want, "\n")) {
					t.Errorf("got\n%s\nwant\n%s", strings.Join(w.trace, "\n"), want)
				}
				if w.living != 0 || w.open != 0 {
					t.Errorf("%d processes and %d instances are left", w.living, w.open)
				}
				if st := p.Status(); st.State != event.Stopped || st.Ref.PID != 0 || len(st.Aside) != 0 {
					t.Errorf("status %+v", st)
				}
				if err := p.Replace(t.Context(), settings); !errors.Is(err, ErrStopped) {
					t.Errorf("after the end: %v", err)
				}
			})
		})
	}
}

// sameTrace compares line by line, where what happens at one moment in different
// goroutines comes in any order.
func sameTrace(got, want []string) bool {
	moment := func(line string) string { at, _, _ := strings.Cut(line, " "); return at }
	sorted := func(lines []string) []string {
		lines = slices.Clone(lines)
		slices.SortStableFunc(lines, func(a, b string) int {
			var x, y float64
			fmt.Sscan(moment(a), &x)
			fmt.Sscan(moment(b), &y)
			if x != y {
				return int((x - y) * 1000)
			}
			return strings.Compare(a, b)
		})
		return lines
	}
	return slices.Equal(sorted(got), sorted(want))
}

// TestStatusBeside shows a successor and then a predecessor in the status.
func TestStatusBeside(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{t: t, started: time.Now(), scripts: []script{{drainTakes: 4 * s}, {startTakes: 4 * s}}}
		settings := Settings{Launch: w.launch, Policy: &steps{t: t}, Timeouts: timeouts}
		p := New(Config{Ref: event.Ref{Name: "chat", Process: 3, Generation: 6}, Settings: settings, Move: w.move})
		w.scripts = slices.Concat(make([]script, 6), w.scripts)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { p.Run(ctx); close(done) }()
		synctest.Wait()
		go func() { _ = p.Replace(ctx, settings) }()
		at := func(seconds time.Duration, want string) {
			t.Helper()
			time.Sleep(time.Until(w.started.Add(seconds)))
			synctest.Wait()
			st := p.Status()
			got := fmt.Sprintf("%s %d pid %d", st.State, st.Ref.Generation, st.Ref.PID)
			for _, a := range st.Aside {
				got += fmt.Sprintf(", %s %d pid %d", a.State, a.Ref.Generation, a.Ref.PID)
			}
			if got != want {
				t.Errorf("at %s: %s, want %s", seconds, got, want)
			}
		}
		at(2*s, "ready 7 pid 107, starting 8 pid 108")
		at(6*s, "ready 8 pid 108, draining 7 pid 107")
		at(9*s, "ready 8 pid 108")
		cancel()
		<-done
	})
}
