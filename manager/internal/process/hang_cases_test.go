package process

import (
	"testing"
	"time"
)

// TestHangs has processes that live on and do not serve.
func TestHangs(t *testing.T) {
	runLives(t, map[string]life{
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
	})
}
