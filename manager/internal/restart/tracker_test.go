package restart

import (
	"math/rand/v2"
	"testing"
	"time"
)

var standard = Policy{Delay: 100 * time.Millisecond, MaxDelay: 30 * time.Second, Limit: 5, Window: 30 * time.Second, Probe: 30 * time.Second}

// unlimited never fails.
func unlimited(p Policy) Policy { p.Limit = 0; return p }

func middle() float64 { return 0.5 } // no jitter

// exit happens at so many seconds after the start of the test.
type exit struct {
	at   float64
	what Exit
	want string
}

func ready(seconds float64) Exit { return Exit{WasReady: true, ReadyFor: secs(seconds)} }

func secs(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

var unready, config = Exit{}, Exit{Config: true}

const (
	atOnce  = "restarted at once: its first exit after being ready"
	again   = "): it exited again soon after being ready"
	notYet  = "): it did not become ready"
	forgot  = ", forgotten after 30s of being ready"
	wrong   = "failed, not started again until its params or its binary change: its configuration is wrong"
	failed5 = "failed, one probe start in 30s: 5 unplanned exits within 30s"
)

func TestTracker(t *testing.T) {
	for name, c := range map[string]struct {
		policy Policy
		exits  []exit
	}{
		"at once, then doubling, then failed": {standard, []exit{
			{0, ready(5), atOnce},
			{1, ready(1), "next start in 100ms (backoff step 1" + forgot + again},
			{2, ready(1), "next start in 200ms (backoff step 2" + forgot + again},
			{3, ready(1), "next start in 400ms (backoff step 3" + forgot + again},
			{4, ready(1), failed5},
		}},
		"never ready": {standard, []exit{
			{0, unready, "next start in 100ms (backoff step 1" + forgot + notYet},
			{20, unready, "next start in 200ms (backoff step 2" + forgot + notYet},
			{40, unready, "next start in 400ms (backoff step 3" + forgot + notYet},
			{60, unready, "next start in 800ms (backoff step 4" + forgot + notYet},
			{80, unready, "failed, one probe start in 30s: 5 starts in a row did not become ready"},
			{120, unready, "failed, one probe start in 30s: its probe start did not become ready; 6 starts in a row have not"},
			{160, ready(10), "next start in 1.6s (backoff step 5" + forgot + again},
		}},
		"ready in between ends the row": {standard, []exit{
			{0, unready, "next start in 100ms (backoff step 1" + forgot + notYet},
			{20, unready, "next start in 200ms (backoff step 2" + forgot + notYet},
			{40, unready, "next start in 400ms (backoff step 3" + forgot + notYet},
			{60, ready(1), "next start in 800ms (backoff step 4" + forgot + again},
			{80, unready, "next start in 1.6s (backoff step 5" + forgot + notYet},
			{100, unready, "next start in 3.2s (backoff step 6" + forgot + notYet},
		}},
		"forgotten after 30 s of being ready": {standard, []exit{
			{0, ready(5), atOnce},
			{1, ready(1), "next start in 100ms (backoff step 1" + forgot + again},
			{40, ready(29.999), "next start in 200ms (backoff step 2" + forgot + again},
			{80, ready(30), atOnce},
			{81, ready(1), "next start in 100ms (backoff step 1" + forgot + again},
		}},
		"forgotten after twice the last delay": {unlimited(Policy{Delay: 20 * time.Second, MaxDelay: time.Minute}), []exit{
			{0, unready, "next start in 20s (backoff step 1, forgotten after 40s of being ready): it did not become ready"},
			{60, ready(39), "next start in 40s (backoff step 2, forgotten after 1m20s of being ready): it exited again soon after being ready"},
			{200, ready(79), "next start in 1m0s (backoff step 3, forgotten after 2m0s of being ready): it exited again soon after being ready"},
			{400, ready(120), atOnce},
		}},
		"the delay stops at max_delay": {unlimited(Policy{Delay: time.Second, MaxDelay: 5 * time.Second}), []exit{
			{0, unready, "next start in 1s (backoff step 1" + forgot + notYet},
			{1, unready, "next start in 2s (backoff step 2" + forgot + notYet},
			{2, unready, "next start in 4s (backoff step 3" + forgot + notYet},
			{3, unready, "next start in 5s (backoff step 4" + forgot + notYet},
			{4, unready, "next start in 5s (backoff step 5" + forgot + notYet},
		}},
		"a delay above max_delay": {unlimited(Policy{Delay: time.Minute, MaxDelay: 5 * time.Second}), []exit{
			{0, unready, "next start in 5s (backoff step 1" + forgot + notYet},
			{1, unready, "next start in 5s (backoff step 2" + forgot + notYet},
		}},
		"a window longer than the memory of delays": {Policy{Delay: time.Second, MaxDelay: time.Second, Limit: 3, Window: 10 * time.Minute, Probe: time.Minute}, []exit{
			{0, ready(40), atOnce},
			{100, ready(40), atOnce},
			{200, ready(40), "failed, one probe start in 1m0s: 3 unplanned exits within 10m0s"},
			{650, ready(40), "failed, one probe start in 1m0s: 3 unplanned exits within 10m0s"},
			{1400, ready(40), atOnce},
		}},
		"limit 1": {Policy{Delay: time.Second, MaxDelay: time.Second, Limit: 1, Window: time.Second, Probe: time.Minute}, []exit{
			{0, ready(1000), "failed, one probe start in 1m0s: 1 unplanned exits within 1s"},
			{5, unready, "failed, one probe start in 1m0s: its probe start did not become ready; 1 starts in a row have not"},
		}},
		"limit 0 never fails": {unlimited(Policy{Delay: time.Second, MaxDelay: time.Second, Window: time.Hour}), []exit{
			{0, ready(1), atOnce},
			{1, unready, "next start in 1s (backoff step 1" + forgot + notYet},
			{2, unready, "next start in 1s (backoff step 2" + forgot + notYet},
			{3, ready(1), "next start in 1s (backoff step 3" + forgot + again},
			{4, ready(30), atOnce},
		}},
		"wrong configuration": {standard, []exit{
			{0, config, wrong},
		}},
		"wrong configuration after being ready, and limit 0": {unlimited(standard), []exit{
			{0, ready(5), atOnce},
			{5, Exit{WasReady: true, ReadyFor: time.Second, Config: true}, wrong},
		}},
		"exits at the edge of the window": {standard, []exit{
			{0, ready(1), atOnce},
			{7, ready(1), "next start in 100ms (backoff step 1" + forgot + again},
			{14, ready(1), "next start in 200ms (backoff step 2" + forgot + again},
			{21, ready(1), "next start in 400ms (backoff step 3" + forgot + again},
			{30, ready(1), "next start in 800ms (backoff step 4" + forgot + again},
			{36.9, ready(1), failed5},
		}},
	} {
		t.Run(name, func(t *testing.T) {
			tracker, start := NewTracker(c.policy, middle), time.Unix(1e9, 0)
			for i, e := range c.exits {
				if got := tracker.Exit(start.Add(secs(e.at)), e.what).String(); got != e.want {
					t.Errorf("exit %d:\n got %s\nwant %s", i+1, got, e.want)
				}
			}
		})
	}
}

func TestJitter(t *testing.T) {
	policy := unlimited(Policy{Delay: time.Second, MaxDelay: time.Second})
	lowest, highest := time.Hour, time.Duration(0)
	random := rand.New(rand.NewPCG(1, 2))
	for range 1000 {
		d := NewTracker(policy, random.Float64).Exit(time.Unix(0, 0), Exit{})
		lowest, highest = min(lowest, d.After), max(highest, d.After)
	}
	if lowest < 800*time.Millisecond || lowest > 810*time.Millisecond || highest > 1200*time.Millisecond || highest < 1190*time.Millisecond {
		t.Errorf("delays from %s to %s, want 800ms to 1.2s", lowest, highest)
	}
}

// FuzzTracker looks for a decision that breaks a promise, whatever happened before.
func FuzzTracker(f *testing.F) {
	f.Add(uint8(5), []byte{0, 1, 2, 3, 4, 5, 6, 7, 8, 9})
	f.Add(uint8(0), []byte{1, 1, 1, 1, 1, 1, 1, 1})
	f.Add(uint8(1), []byte{255, 128, 64})
	f.Fuzz(func(t *testing.T, limit uint8, exits []byte) {
		policy := standard
		policy.Limit = int(limit)
		random := rand.New(rand.NewPCG(uint64(limit), 0))
		tracker, now := NewTracker(policy, random.Float64), time.Unix(1e9, 0)
		for _, b := range exits {
			e := Exit{WasReady: b&1 != 0, Config: b == 255}
			if e.WasReady {
				e.ReadyFor = time.Duration(b>>1) * time.Second
			}
			now = now.Add(e.ReadyFor + time.Duration(b>>4)*time.Second)
			d := tracker.Exit(now, e)
			switch {
			case e.Config != (d.Action == Never):
				t.Fatalf("exit %+v: %s", e, d)
			case d.Action == Failed && (limit == 0 || d.After != policy.Probe):
				t.Fatalf("limit %d: %s", limit, d)
			case d.Action == Now && (!e.WasReady || d.After != 0):
				t.Fatalf("exit %+v: %s", e, d)
			case d.Action == Backoff && (d.After < policy.Delay*4/5 || d.After > policy.MaxDelay*6/5):
				t.Fatalf("delay %s", d.After)
			}
		}
		if len(tracker.exits) > int(limit) {
			t.Fatalf("%d exits kept with limit %d", len(tracker.exits), limit)
		}
	})
}
