package process

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

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
