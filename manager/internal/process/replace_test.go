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

// TestCommands gives commands to a running process: every move, call and answer.
func TestCommands(t *testing.T) {
	for name, c := range map[string]struct {
		scripts  []script
		policy   []Decision
		commands []command
		held     bool
		noMove   bool
		end      time.Duration
		kill     time.Duration
		want     string
	}{
		"replace": {
			scripts: []script{{drainTakes: 2 * s}, {startTakes: s, moveTakes: s}}, commands: []command{{at: 10 * s, verb: "replace"}}, end: 20 * s,
			want: `0 starting
				0 ready
				10 beside: 2 starting: to replace generation 1
				11 beside: 2 ready
				11 move 101 to 102
				12 ready: replaced generation 1
				12 replace: done
				12 beside: 1 draining: replaced
				12 Drain within 30
				14 Stop
				14 beside: 1 stopped: replaced <1/101 code 0>
				20 draining: stopping
				20 Drain within 30
				20 Stop
				20 stopped: stopped as asked <2/102 code 0>`,
		},
		"replace without handing over": {
			scripts: []script{{}, {}}, noMove: true, commands: []command{{at: s, verb: "replace"}}, end: 2 * s,
			want: `0 starting
				0 ready
				1 beside: 2 starting: to replace generation 1
				1 beside: 2 ready
				1 ready: replaced generation 1
				1 replace: done
				1 beside: 1 draining: replaced
				1 Drain within 30
				1 Stop
				1 beside: 1 stopped: replaced <1/101 code 0>
				2 draining: stopping
				2 Drain within 30
				2 Stop
				2 stopped: stopped as asked <2/102 code 0>`,
		},
		"the new one does not become ready": {
			scripts: []script{{}, {startTakes: forever, exitAfter: s, exitCode: 78}}, commands: []command{{at: s, verb: "replace"}}, end: 5 * s,
			want: `0 starting
				0 ready
				1 beside: 2 starting: to replace generation 1
				2 beside: 2 stopped: it does not take over <2/102 code 78>
				2 replace: process chat/3 did not become ready in generation 2: 
				5 draining: stopping
				5 Drain within 30
				5 Stop
				5 stopped: stopped as asked <1/101 code 0>`,
		},
		"the new one hangs": {
			scripts: []script{{}, {startTakes: forever}}, commands: []command{{at: s, verb: "replace"}}, end: 15 * s,
			want: `0 starting
				0 ready
				1 beside: 2 starting: to replace generation 1
				11 kill
				11 beside: 2 stopped: it does not take over <2/102 code -1 killed: not ready within 10s of its start: context deadline exceeded>
				11 replace: process chat/3 did not become ready in generation 2: not ready within 10s of its start: context deadline exceeded
				15 draining: stopping
				15 Drain within 30
				15 Stop
				15 stopped: stopped as asked <1/101 code 0>`,
		},
		"the hand-over fails": {
			scripts: []script{{}, {moveErr: errors.New("no answer")}, {}}, commands: []command{{at: s, verb: "replace"}, {at: 2 * s, verb: "replace"}}, end: 3 * s,
			want: `0 starting
				0 ready
				1 beside: 2 starting: to replace generation 1
				1 beside: 2 ready
				1 move 101 to 102
				1 beside: 2 draining: it does not take over
				1 Drain within 30
				1 Stop
				1 beside: 2 stopped: it does not take over <2/102 code 0>
				1 replace: the clients of process chat/3 were not handed over: no answer
				2 beside: 3 starting: to replace generation 1
				2 beside: 3 ready
				2 move 101 to 103
				2 ready: replaced generation 1
				2 replace: done
				2 beside: 1 draining: replaced
				2 Drain within 30
				2 Stop
				2 beside: 1 stopped: replaced <1/101 code 0>
				3 draining: stopping
				3 Drain within 30
				3 Stop
				3 stopped: stopped as asked <3/103 code 0>`,
		},
		"the old one crashes while the new one starts": {
			scripts: []script{{exitAfter: 2 * s, exitCode: 2}, {startTakes: 3 * s}}, commands: []command{{at: s, verb: "replace"}}, end: 5 * s,
			want: `0 starting
				0 ready
				1 beside: 2 starting: to replace generation 1
				2 starting: its successor takes its place <1/101 code 2>
				4 ready
				4 replace: done
				5 draining: stopping
				5 Drain within 30
				5 Stop
				5 stopped: stopped as asked <2/102 code 0>`,
		},
		"the old one crashes during the hand-over": {
			scripts: []script{{exitAfter: 2 * s, exitCode: 2}, {moveTakes: forever}}, commands: []command{{at: s, verb: "replace"}}, end: 5 * s,
			want: `0 starting
				0 ready
				1 beside: 2 starting: to replace generation 1
				1 beside: 2 ready
				1 move 101 to 102
				2 starting: its successor takes its place <1/101 code 2>
				2 ready
				2 replace: done
				5 draining: stopping
				5 Drain within 30
				5 Stop
				5 stopped: stopped as asked <2/102 code 0>`,
		},
		"the new one crashes during the hand-over": {
			scripts: []script{{}, {moveTakes: forever, exitAfter: s, exitCode: 2}}, commands: []command{{at: s, verb: "replace"}}, end: 5 * s,
			want: `0 starting
				0 ready
				1 beside: 2 starting: to replace generation 1
				1 beside: 2 ready
				1 move 101 to 102
				2 beside: 2 stopped: it does not take over <2/102 code 2>
				2 replace: process chat/3 did not become ready in generation 2: 
				5 draining: stopping
				5 Drain within 30
				5 Stop
				5 stopped: stopped as asked <1/101 code 0>`,
		},
		"both crash before the new one is ready": {
			scripts: []script{{exitAfter: 2 * s}, {startTakes: forever, exitAfter: 2 * s}, {}}, policy: []Decision{backoff}, commands: []command{{at: s, verb: "replace"}}, end: 8 * s,
			want: `0 starting
				0 ready
				1 beside: 2 starting: to replace generation 1
				2 starting: its successor takes its place <1/101 code 0>
				3 backoff: later <2/102 code 0>
				3 replace: process chat/3 did not become ready in generation 2: 
				6 starting: later
				6 ready
				8 draining: stopping
				8 Drain within 30
				8 Stop
				8 stopped: stopped as asked <3/103 code 0>`,
		},
		"the new one crashes right after the cut": {
			scripts: []script{{drainTakes: 3 * s}, {exitAfter: s, exitCode: 2}, {}}, policy: []Decision{atOnce}, commands: []command{{at: s, verb: "replace"}}, end: 8 * s,
			want: `0 starting
				0 ready
				1 beside: 2 starting: to replace generation 1
				1 beside: 2 ready
				1 move 101 to 102
				1 ready: replaced generation 1
				1 replace: done
				1 beside: 1 draining: replaced
				1 Drain within 30
				2 starting: at once <2/102 code 2>
				2 ready
				4 Stop
				4 beside: 1 stopped: replaced <1/101 code 0>
				8 draining: stopping
				8 Drain within 30
				8 Stop
				8 stopped: stopped as asked <3/103 code 0>`,
		},
		"replace while a predecessor drains": {
			scripts: []script{{drainTakes: 4 * s}, {}, {}}, commands: []command{{at: s, verb: "replace"}, {at: 2 * s, verb: "replace"}}, end: 8 * s,
			want: `0 starting
				0 ready
				1 beside: 2 starting: to replace generation 1
				1 beside: 2 ready
				1 move 101 to 102
				1 ready: replaced generation 1
				1 replace: done
				1 beside: 1 draining: replaced
				1 Drain within 30
				5 Stop
				5 beside: 1 stopped: replaced <1/101 code 0>
				5 beside: 3 starting: to replace generation 2
				5 beside: 3 ready
				5 move 102 to 103
				5 ready: replaced generation 2
				5 replace: done
				5 beside: 2 draining: replaced
				5 Drain within 30
				5 Stop
				5 beside: 2 stopped: replaced <2/102 code 0>
				8 draining: stopping
				8 Drain within 30
				8 Stop
				8 stopped: stopped as asked <3/103 code 0>`,
		},
		"replace one that hangs": {
			scripts: []script{{sickAfter: 5 * s, ignoresAbort: true}, {}}, commands: []command{{at: 16 * s, verb: "replace"}}, end: 25 * s,
			want: `0 starting
				0 ready
				15 draining: hung: 3 health checks in a row failed: accept loop stands still
				15 aborted
				20 kill
				20 starting: as asked <1/101 code -1 killed: hung: 3 health checks in a row failed: accept loop stands still>
				20 ready
				20 replace: done
				25 draining: stopping
				25 Drain within 30
				25 Stop
				25 stopped: stopped as asked <2/102 code 0>`,
		},
		"replace one that hangs while the new one starts": {
			scripts: []script{{sickAfter: 5 * s, ignoresAbort: true}, {startTakes: 3 * s}}, commands: []command{{at: 14 * s, verb: "replace"}}, end: 25 * s,
			want: `0 starting
				0 ready
				14 beside: 2 starting: to replace generation 1
				15 draining: hung: 3 health checks in a row failed: accept loop stands still
				15 aborted
				17 beside: 2 ready
				20 kill
				20 starting: its successor takes its place <1/101 code -1 killed: hung: 3 health checks in a row failed: accept loop stands still>
				20 ready
				20 replace: done
				25 draining: stopping
				25 Drain within 30
				25 Stop
				25 stopped: stopped as asked <2/102 code 0>`,
		},
		"replace one that starts": {
			scripts: []script{{startTakes: 8 * s}, {}}, commands: []command{{at: s, verb: "replace"}}, end: 5 * s,
			want: `0 starting
				1 draining: replaced
				1 terminated
				1 starting: as asked <1/101 code -1 terminated>
				1 ready
				1 replace: done
				5 draining: stopping
				5 Drain within 30
				5 Stop
				5 stopped: stopped as asked <2/102 code 0>`,
		},
		"replace one that has failed": {
			scripts: []script{{exitAfter: s, exitCode: 78}, {}}, policy: []Decision{final}, commands: []command{{at: 5 * s, verb: "replace"}}, end: 8 * s,
			want: `0 starting
				0 ready
				1 failed: wrong configuration <1/101 code 78>
				5 starting: as asked
				5 ready
				5 replace: done
				8 draining: stopping
				8 Drain within 30
				8 Stop
				8 stopped: stopped as asked <2/102 code 0>`,
		},
		"replace one that has failed, in vain": {
			scripts: []script{{exitAfter: s, exitCode: 78}, {startErr: errors.New("no topic"), exitAfter: time.Millisecond, exitCode: 78}}, policy: []Decision{final}, commands: []command{{at: 5 * s, verb: "replace"}}, end: 8 * s,
			want: `0 starting
				0 ready
				1 failed: wrong configuration <1/101 code 78>
				5 starting: as asked
				5.001 failed: wrong configuration <2/102 code 78: start failed: no topic>
				5.001 replace: process chat/3 did not become ready in generation 2: start failed: no topic
				8 stopped: stopped as asked`,
		},
		"start in backoff": {
			scripts: []script{{exitAfter: s}, {}}, policy: []Decision{backoff}, commands: []command{{at: 2 * s, verb: "start"}}, end: 8 * s,
			want: `0 starting
				0 ready
				1 backoff: later <1/101 code 0>
				2 starting: started by command
				2 ready
				2 start: done
				8 draining: stopping
				8 Drain within 30
				8 Stop
				8 stopped: stopped as asked <2/102 code 0>`,
		},
		"stop and start": {
			scripts: []script{{drainTakes: s}, {}}, commands: []command{{at: s, verb: "stop"}, {at: 3 * s, verb: "replace"}, {at: 4 * s, verb: "start"}, {at: 5 * s, verb: "start"}}, end: 8 * s,
			want: `0 starting
				0 ready
				1 draining: stopping
				1 Drain within 30
				2 Stop
				2 stopped: stopped as asked <1/101 code 0>
				2 stop: done
				3 replace: the process is stopped
				4 starting: started by command
				4 ready
				4 start: done
				5 start: done
				8 draining: stopping
				8 Drain within 30
				8 Stop
				8 stopped: stopped as asked <2/102 code 0>`,
		},
		"held from the beginning": {
			scripts: []script{{}}, held: true, commands: []command{{at: s, verb: "stop"}, {at: 2 * s, verb: "start"}}, end: 3 * s,
			want: `1 stop: done
				2 starting: started by command
				2 ready
				2 start: done
				3 draining: stopping
				3 Drain within 30
				3 Stop
				3 stopped: stopped as asked <1/101 code 0>`,
		},
		"stop in backoff": {
			scripts: []script{{exitAfter: s}}, policy: []Decision{backoff}, commands: []command{{at: 2 * s, verb: "stop"}}, end: 8 * s,
			want: `0 starting
				0 ready
				1 backoff: later <1/101 code 0>
				2 stopped: stopped as asked
				2 stop: done`,
		},
		"stop during a replacement": {
			scripts: []script{{}, {startTakes: 5 * s}}, commands: []command{{at: s, verb: "replace"}, {at: 2 * s, verb: "stop"}}, end: 8 * s,
			want: `0 starting
				0 ready
				1 beside: 2 starting: to replace generation 1
				2 replace: the process is stopped
				2 draining: stopping
				2 Drain within 30
				2 beside: 2 draining: stopping
				2 terminated
				2 Stop
				2 beside: 2 stopped: it does not take over <2/102 code -1 terminated>
				2 stopped: stopped as asked <1/101 code 0>
				2 stop: done`,
		},
		"the end during a hand-over": {
			scripts: []script{{}, {moveTakes: forever}}, commands: []command{{at: s, verb: "replace"}}, end: 3 * s,
			want: `0 starting
				0 ready
				1 beside: 2 starting: to replace generation 1
				1 beside: 2 ready
				1 move 101 to 102
				3 replace: the process is stopped
				3 draining: stopping
				3 Drain within 30
				3 beside: 2 draining: stopping
				3 Drain within 30
				3 Stop
				3 Stop
				3 stopped: stopped as asked <1/101 code 0>
				3 beside: 2 stopped: it does not take over <2/102 code 0>`,
		},
		"kill while a predecessor drains": {
			scripts: []script{{drainTakes: forever, ignoresTerm: true}, {}}, noMove: true, commands: []command{{at: s, verb: "replace"}}, end: 3 * s, kill: 4 * s,
			want: `0 starting
				0 ready
				1 beside: 2 starting: to replace generation 1
				1 beside: 2 ready
				1 ready: replaced generation 1
				1 replace: done
				1 beside: 1 draining: replaced
				1 Drain within 30
				3 draining: stopping
				3 Drain within 30
				3 Stop
				3 stopped: stopped as asked <2/102 code 0>
				4 kill
				4 beside: 1 stopped: replaced <1/101 code -1 killed>`,
		},
		"whoever asked gives up": {
			scripts: []script{{}, {startTakes: 5 * s}}, commands: []command{{at: s, verb: "replace", wait: s}}, end: 8 * s,
			want: `0 starting
				0 ready
				1 beside: 2 starting: to replace generation 1
				2 beside: 2 draining: it does not take over
				2 terminated
				2 beside: 2 stopped: it does not take over <2/102 code -1 terminated>
				2 replace: context deadline exceeded
				8 draining: stopping
				8 Drain within 30
				8 Stop
				8 stopped: stopped as asked <1/101 code 0>`,
		},
		"gives up during the hand-over": {
			scripts: []script{{}, {moveTakes: 5 * s}}, commands: []command{{at: s, verb: "replace", wait: s}}, end: 8 * s,
			want: `0 starting
				0 ready
				1 beside: 2 starting: to replace generation 1
				1 beside: 2 ready
				1 move 101 to 102
				2 beside: 2 draining: it does not take over
				2 Drain within 30
				2 Stop
				2 beside: 2 stopped: it does not take over <2/102 code 0>
				2 replace: context deadline exceeded
				8 draining: stopping
				8 Drain within 30
				8 Stop
				8 stopped: stopped as asked <1/101 code 0>`,
		},
		"two at once": {
			scripts: []script{{}, {startTakes: 3 * s}}, commands: []command{{at: s, verb: "replace"}, {at: 2 * s, verb: "replace"}, {at: 3 * s, verb: "start"}, {at: 3 * s, verb: "set"}}, noMove: true, end: 5 * s,
			want: `0 starting
				0 ready
				1 beside: 2 starting: to replace generation 1
				2 replace: an earlier command of the process is under way
				3 set: done
				3 start: an earlier command of the process is under way
				4 beside: 2 ready
				4 ready: replaced generation 1
				4 replace: done
				4 beside: 1 draining: replaced
				4 Drain within 30
				4 Stop
				4 beside: 1 stopped: replaced <1/101 code 0>
				5 draining: stopping
				5 Drain within 30
				5 Stop
				5 stopped: stopped as asked <2/102 code 0>`,
		},
	} {
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
