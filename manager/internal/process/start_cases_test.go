package process

import (
	"errors"
	"testing"
	"time"

	"github.com/antano/antano/manager/internal/event"
)

// TestStartsAndCrashes runs whole lives that end before anybody stops them, or in peace.
func TestStartsAndCrashes(t *testing.T) {
	runLives(t, map[string]life{
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
	})
}
