package process

import (
	"errors"
	"testing"
	"time"
)

// TestReplace replaces processes in all states, by ones that behave and ones that do not.
func TestReplace(t *testing.T) {
	runCommands(t, map[string]commandCase{
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
	})
}
