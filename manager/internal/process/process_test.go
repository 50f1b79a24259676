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

var (
	timeouts = Timeouts{Start: 10 * time.Second, Drain: 30 * time.Second, Stop: 5 * time.Second}
	health   = Health{Interval: 5 * time.Second, Timeout: 2 * time.Second, Misses: 3}
	atOnce   = Decision{Next: event.Starting, Reason: "at once"}
	backoff  = Decision{Next: event.Backoff, After: 3 * time.Second, Reason: "later"}
	failed   = Decision{Next: event.Failed, After: 30 * time.Second, Reason: "too often"}
	final    = Decision{Next: event.Failed, Reason: "wrong configuration"}
)

const s = time.Second

// TestLives runs whole lives: what the process does, what the policy says, when it
// is told to stop and to kill, and every move and call that must come of it.
func TestLives(t *testing.T) {
	for name, c := range map[string]struct {
		scripts []script
		policy  []Decision
		stop    time.Duration
		kill    time.Duration // after the start; 0: never
		want    string
		seen    []UnplannedExit
	}{
		"start and stop": {
			scripts: []script{{}}, stop: 20 * s,
			want: `0 starting
				0 ready
				20 draining: stopping
				20 Drain within 30
				20 Stop
				20 stopped: stopped as asked <1/101 code 0>`,
		},
		"stop before the start": {
			scripts: []script{{}}, stop: -1,
			want: ``,
		},
		"crash after ready, at once": {
			scripts: []script{{startTakes: s, exitAfter: 6 * s, exitCode: 2}, {}}, policy: []Decision{atOnce}, stop: 8 * s,
			seen: []UnplannedExit{{WasReady: true, ReadyFor: 5 * s}},
			want: `0 starting
				1 ready
				6 starting: at once <1/101 code 2>
				6 ready
				8 draining: stopping
				8 Drain within 30
				8 Stop
				8 stopped: stopped as asked <2/102 code 0>`,
		},
		"crash before ready, backoff": {
			scripts: []script{{startTakes: forever, exitAfter: s, exitCode: 1}, {}}, policy: []Decision{backoff}, stop: 5 * s,
			seen: []UnplannedExit{{}},
			want: `0 starting
				1 backoff: later <1/101 code 1>
				4 starting: later
				4 ready
				5 draining: stopping
				5 Drain within 30
				5 Stop
				5 stopped: stopped as asked <2/102 code 0>`,
		},
		"what is left of a crash delays nobody": {
			scripts: []script{{exitAfter: s, closeTakes: 9 * s}, {}}, policy: []Decision{atOnce}, stop: 2 * s,
			seen: []UnplannedExit{{WasReady: true, ReadyFor: s}},
			want: `0 starting
				0 ready
				1 starting: at once <1/101 code 0>
				1 ready
				2 draining: stopping
				2 Drain within 30
				2 Stop
				2 stopped: stopped as asked <2/102 code 0>
				10 101 is closed`,
		},
		"nothing may be left of the last but one": {
			scripts: []script{{exitAfter: s, closeTakes: 5 * s}, {exitAfter: s, closeTakes: 9 * s}, {}}, policy: []Decision{atOnce}, stop: 8 * s,
			seen: []UnplannedExit{{WasReady: true, ReadyFor: s}, {WasReady: true, ReadyFor: s}},
			want: `0 starting
				0 ready
				1 starting: at once <1/101 code 0>
				1 ready
				2 starting: at once <2/102 code 0>
				6 101 is closed
				6 ready
				8 draining: stopping
				8 Drain within 30
				8 Stop
				8 stopped: stopped as asked <3/103 code 0>
				11 102 is closed`,
		},
		"a stop while too much is left": {
			scripts: []script{{exitAfter: s, closeTakes: 5 * s}, {exitAfter: s, closeTakes: 9 * s}, {}}, policy: []Decision{atOnce}, stop: 3 * s,
			seen: []UnplannedExit{{WasReady: true, ReadyFor: s}, {WasReady: true, ReadyFor: s}},
			want: `0 starting
				0 ready
				1 starting: at once <1/101 code 0>
				1 ready
				2 starting: at once <2/102 code 0>
				3 stopped: stopped as asked <3/0 code -1: stopped during its launch>
				6 101 is closed
				11 102 is closed`,
		},
		"failed, then a probe that works": {
			scripts: []script{{exitAfter: s}, {}}, policy: []Decision{failed}, stop: 40 * s,
			seen: []UnplannedExit{{WasReady: true, ReadyFor: s}},
			want: `0 starting
				0 ready
				1 failed: too often <1/101 code 0>
				31 starting: too often
				31 ready
				40 draining: stopping
				40 Drain within 30
				40 Stop
				40 stopped: stopped as asked <2/102 code 0>`,
		},
		"wrong configuration is final": {
			scripts: []script{{startErr: errors.New("no such topic"), exitAfter: 10 * time.Millisecond, exitCode: 78}}, policy: []Decision{final}, stop: 1000 * s,
			seen: []UnplannedExit{{Config: true}},
			want: `0 starting
				0.01 failed: wrong configuration <1/101 code 78: start failed: no such topic>
				1000 stopped: stopped as asked`,
		},
		"a launch that fails with evidence": {
			scripts: []script{{launchErr: &ExitError{event.Exit{Code: 78, Cause: "settings.topic is missing"}, errors.New("exited")}}}, policy: []Decision{final}, stop: s,
			seen: []UnplannedExit{{Config: true}},
			want: `0 starting
				0 failed: wrong configuration <1/0 code 78: settings.topic is missing>
				1 stopped: stopped as asked`,
		},
		"a launch that fails without": {
			scripts: []script{{launchErr: errors.New("permission denied")}}, policy: []Decision{backoff}, stop: s,
			seen: []UnplannedExit{{}},
			want: `0 starting
				0 backoff: later <1/0 code -1: start failed: permission denied>
				1 stopped: stopped as asked`,
		},
		"a launch that hangs": {
			scripts: []script{{launchHangs: true}}, policy: []Decision{backoff}, stop: 11 * s,
			seen: []UnplannedExit{{}},
			want: `0 starting
				10 backoff: later <1/0 code -1: not ready within 10s of its start: context deadline exceeded>
				11 stopped: stopped as asked`,
		},
		"a start that hangs": {
			scripts: []script{{startTakes: forever, ignoresTerm: true}}, policy: []Decision{backoff}, stop: 11 * s,
			seen: []UnplannedExit{{}},
			want: `0 starting
				10 kill
				10 backoff: later <1/101 code -1 killed: not ready within 10s of its start: context deadline exceeded>
				11 stopped: stopped as asked`,
		},
		"a start that fails and leaves the process": {
			scripts: []script{{startErr: errors.New("no sockets")}}, policy: []Decision{backoff}, stop: s,
			seen: []UnplannedExit{{}},
			want: `0 starting
				0.5 kill
				0.5 backoff: later <1/101 code -1 killed: start failed: no sockets>
				1 stopped: stopped as asked`,
		},
		"stop during launch": {
			scripts: []script{{launchHangs: true}}, stop: 2 * s,
			want: `0 starting
				2 stopped: stopped as asked <1/0 code -1: stopped during its launch>`,
		},
		"stop during start": {
			scripts: []script{{startTakes: 5 * s}}, stop: 2 * s,
			want: `0 starting
				2 draining: stopping
				2 terminated
				2 stopped: stopped as asked <1/101 code -1 terminated>`,
		},
		"stop during a start that ignores SIGTERM": {
			scripts: []script{{startTakes: 5 * s, ignoresTerm: true}}, stop: 2 * s,
			want: `0 starting
				2 draining: stopping
				2 terminated
				7 kill
				7 stopped: stopped as asked <1/101 code -1 killed: did not stop within 5s of SIGTERM>`,
		},
		"stop during backoff": {
			scripts: []script{{exitAfter: s}}, policy: []Decision{backoff}, stop: 2 * s,
			seen: []UnplannedExit{{WasReady: true, ReadyFor: s}},
			want: `0 starting
				0 ready
				1 backoff: later <1/101 code 0>
				2 stopped: stopped as asked`,
		},
		"a drain that takes its time": {
			scripts: []script{{drainTakes: 12 * s}}, stop: s,
			want: `0 starting
				0 ready
				1 draining: stopping
				1 Drain within 30
				13 Stop
				13 stopped: stopped as asked <1/101 code 0>`,
		},
		"everything of a stop hangs": {
			scripts: []script{{drainTakes: forever, stopHangs: true, ignoresTerm: true, undead: true}}, stop: s,
			want: `0 starting
				0 ready
				1 draining: stopping
				1 Drain within 30
				32 Stop
				37 terminated
				42 kill
				47 stopped: stopped as asked <1/101 code -1: did not stop within 5s of SIGTERM; did not end after SIGKILL>`,
		},
		"Stop is answered and not obeyed": {
			scripts: []script{{ignoresStop: true}}, stop: s,
			want: `0 starting
				0 ready
				1 draining: stopping
				1 Drain within 30
				1 Stop
				6 terminated
				6 stopped: stopped as asked <1/101 code -1 terminated>`,
		},
		"crash during drain": {
			scripts: []script{{drainTakes: forever, exitAfter: 5 * s, exitCode: 2}}, stop: s,
			want: `0 starting
				0 ready
				1 draining: stopping
				1 Drain within 30
				5 stopped: stopped as asked <1/101 code 2>`,
		},
		"a second stop kills": {
			scripts: []script{{drainTakes: forever, ignoresTerm: true}}, stop: s, kill: 4 * s,
			want: `0 starting
				0 ready
				1 draining: stopping
				1 Drain within 30
				4 kill
				4 stopped: stopped as asked <1/101 code -1 killed>`,
		},
		"a second stop kills during SIGTERM": {
			scripts: []script{{startTakes: forever, ignoresTerm: true}}, stop: s, kill: 2 * s,
			want: `0 starting
				1 draining: stopping
				1 terminated
				2 kill
				2 stopped: stopped as asked <1/101 code -1 killed>`,
		},
		"hung: no answer": {
			scripts: []script{{hungAfter: 5 * s, ignoresAbort: true}, {}}, policy: []Decision{atOnce}, stop: 25 * s,
			seen: []UnplannedExit{{WasReady: true, ReadyFor: 22 * s}},
			want: `0 starting
				0 ready
				17 draining: hung: 3 health checks in a row failed: no answer within 2s
				17 aborted
				22 kill
				22 starting: at once <1/101 code -1 killed: hung: 3 health checks in a row failed: no answer within 2s>
				22 ready
				25 draining: stopping
				25 Drain within 30
				25 Stop
				25 stopped: stopped as asked <2/102 code 0>`,
		},
		"sick, and dumps": {
			scripts: []script{{sickAfter: 5 * s}}, policy: []Decision{backoff}, stop: 16 * s,
			seen: []UnplannedExit{{WasReady: true, ReadyFor: 15 * s}},
			want: `0 starting
				0 ready
				15 draining: hung: 3 health checks in a row failed: accept loop stands still
				15 aborted
				15 backoff: later <1/101 code -1 aborted: hung: 3 health checks in a row failed: accept loop stands still>
				16 stopped: stopped as asked`,
		},
		"two misses are forgiven": {
			scripts: []script{{hungAfter: 5 * s, sickFor: 6 * s}}, stop: 60 * s,
			want: `0 starting
				0 ready
				60 draining: stopping
				60 Drain within 30
				60 Stop
				60 stopped: stopped as asked <1/101 code 0>`,
		},
		"stop while it is aborted": {
			scripts: []script{{sickAfter: 5 * s, ignoresAbort: true}}, stop: 16 * s,
			want: `0 starting
				0 ready
				15 draining: hung: 3 health checks in a row failed: accept loop stands still
				15 aborted
				20 kill
				20 stopped: stopped as asked <1/101 code -1 killed: hung: 3 health checks in a row failed: accept loop stands still>`,
		},
		"the link breaks and the process stays": {
			scripts: []script{{linkAfter: s}, {}}, policy: []Decision{atOnce}, stop: 3 * s,
			seen: []UnplannedExit{{WasReady: true, ReadyFor: 1500 * time.Millisecond}},
			want: `0 starting
				0 ready
				1.5 draining: cannot serve on: relay link closed
				1.5 kill
				1.5 starting: at once <1/101 code -1 killed: cannot serve on: relay link closed>
				1.5 ready
				3 draining: stopping
				3 Drain within 30
				3 Stop
				3 stopped: stopped as asked <2/102 code 0>`,
		},
		"the link is the first sign of a crash": {
			scripts: []script{{linkAfter: s, exitAfter: s + 10*time.Millisecond, exitCode: 2}}, policy: []Decision{backoff}, stop: 2 * s,
			seen: []UnplannedExit{{WasReady: true, ReadyFor: 1010 * time.Millisecond}},
			want: `0 starting
				0 ready
				1.01 backoff: later <1/101 code 2>
				2 stopped: stopped as asked`,
		},
	} {
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

// TestRelease stops processes together: none is told to Stop before all are drained,
// and one that cannot drain does not hold up the others for ever.
func TestRelease(t *testing.T) {
	for name, c := range map[string]struct {
		scripts []script // of one process each
		want    []string // when the processes are drained, and when they have ended
	}{
		"the slowest drain": {[]script{{}, {drainTakes: 7 * s}}, []string{"1 8", "8 8"}},
		"one never starts":  {[]script{{}, {startTakes: forever, ignoresTerm: true}}, []string{"1 1", "1 6"}},
		"one crashes":       {[]script{{}, {drainTakes: forever, exitAfter: 4 * s}}, []string{"1 4", "4 4"}},
		"one hangs":         {[]script{{}, {drainTakes: forever, stopHangs: true}}, []string{"1 32", "32 37"}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				release, started := make(chan struct{}), time.Now()
				at := func() float64 { return time.Since(started).Seconds() }
				processes, drained, ended := make([]*Process, len(c.scripts)), make([]float64, len(c.scripts)), make([]float64, len(c.scripts))
				var running sync.WaitGroup
				for i, script := range c.scripts {
					w := &world{t: t, started: started, scripts: c.scripts[i : i+1]}
					p := New(Config{Settings: Settings{Launch: w.launch, Policy: &steps{t: t}, Timeouts: timeouts}, Release: release})
					processes[i] = p
					running.Go(func() {
						p.Run(ctx)
						ended[i] = at()
						if w.living != 0 || w.open != 0 {
							t.Errorf("%+v: something is left", script)
						}
					})
				}
				time.Sleep(s)
				cancel()
				for i, p := range processes {
					<-p.Drained()
					drained[i] = at()
				}
				close(release)
				running.Wait()
				for i, want := range c.want {
					if got := fmt.Sprint(drained[i], ended[i]); got != want {
						t.Errorf("process %d: %s, want %s", i, got, want)
					}
				}
			})
		})
	}
}

// TestNobodyReleases has a stop go on by itself.
func TestNobodyReleases(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{t: t, started: time.Now(), scripts: []script{{}}}
		p := New(Config{Settings: Settings{Launch: w.launch, Policy: &steps{t: t}, Timeouts: timeouts}, Release: make(chan struct{})})
		ctx, cancel := context.WithTimeout(t.Context(), s)
		defer cancel()
		p.Run(ctx)
		if took := time.Since(w.started); took != 33*s {
			t.Errorf("stopped after %s", took)
		}
	})
}

// TestIllegalMoves says which moves there are, so that a change is a decision.
func TestIllegalMoves(t *testing.T) {
	legal := 0
	for from := event.Stopped; from <= event.Failed; from++ {
		for to := event.Stopped; to <= event.Failed; to++ {
			func() {
				defer func() {
					if recover() == nil {
						legal++
					}
				}()
				checkMove(from, to)
			}()
		}
	}
	if legal != 22 {
		t.Errorf("%d moves are legal", legal)
	}
}
