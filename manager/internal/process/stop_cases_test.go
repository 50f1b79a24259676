package process

import "testing"

// TestStopAndStart stops and starts processes in all states.
func TestStopAndStart(t *testing.T) {
	runCommands(t, map[string]commandCase{
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
	})
}

// TestCommandsMeet has commands given up, and given at the same time.
func TestCommandsMeet(t *testing.T) {
	runCommands(t, map[string]commandCase{
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
	})
}
