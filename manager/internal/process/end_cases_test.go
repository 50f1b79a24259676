package process

import "testing"

// TestEnds stops processes that are willing, slow, deaf or not yet there.
func TestEnds(t *testing.T) {
	runLives(t, map[string]life{
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
	})
}
