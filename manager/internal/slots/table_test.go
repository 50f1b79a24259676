package slots

import (
	"fmt"
	"math/bits"
	"strings"
	"testing"
)

func mustNew(t *testing.T, n int, ids ...int) *Table {
	t.Helper()
	table, err := New(n, ids)
	if err != nil {
		t.Fatal(err)
	}
	return table
}

func TestBlocks(t *testing.T) {
	for _, c := range []struct {
		slots, processes int
		want             string
	}{
		{64, 1, "64"}, {64, 2, "32 32"}, {64, 3, "21 21 22"}, {64, 4, "16 16 16 16"}, {64, 5, "12 13 13 13 13"},
		{1, 1, "1"}, {1, 3, "1 0 0"}, {2, 3, "1 1 0"},
	} {
		ids := make([]int, c.processes)
		for i := range ids {
			ids[len(ids)-1-i] = i + 1 // given in any order
		}
		table := mustNew(t, c.slots, ids...)
		var sizes []string
		var all Set
		for i, p := range table.processes {
			if p.id != i+1 || all&p.home != 0 {
				t.Errorf("%d slots: process %d at %d has %x", c.slots, p.id, i, p.home)
			}
			all |= p.home
			sizes = append(sizes, fmt.Sprint(bits.OnesCount64(p.home)))
		}
		if got := strings.Join(sizes, " "); got != c.want || all != span(0, c.slots) {
			t.Errorf("%d slots over %d: %s (%x), want %s", c.slots, c.processes, got, all, c.want)
		}
	}
	table := mustNew(t, 64, make([]int, 100)...)
	if table.processes[63].home != 1<<63 || table.processes[64].home != 0 {
		t.Error("100 processes do not share 64 slots one by one")
	}
	for _, n := range []int{0, 65} {
		if _, err := New(n, []int{1}); err == nil {
			t.Errorf("%d slots are allowed", n)
		}
	}
	if _, err := New(64, nil); err == nil {
		t.Error("no process is allowed")
	}
}

// TestTable tells stories on 8 slots and 2 or 3 processes, in hexadecimal: the
// event, and the commands that must come of it. 2>1:f moves the clients of f.
func TestTable(t *testing.T) {
	for name, c := range map[string]struct {
		slots, processes int
		story            string
	}{
		"start": {8, 2, `
			ready 1 -> 1:f
			ready 2 -> 2:f0
			confirmed 1 f ->
			confirmed 2 f0 ->`},
		"a restart moves nothing": {8, 2, `
			ready 1 -> 1:f
			ready 2 -> 2:f0
			confirmed 1 f ->
			confirmed 2 f0 ->
			reaped 1 ->
			ready 1 -> 1:f`},
		"a restart before the confirmation": {8, 2, `
			ready 1 -> 1:f
			reaped 1 ->
			ready 1 -> 1:f`},
		"backoff is adopted and given back": {8, 2, `
			ready 1 -> 1:f
			ready 2 -> 2:f0
			confirmed 1 f ->
			confirmed 2 f0 ->
			reaped 1 ->
			away 1 -> 2:ff
			confirmed 2 ff ->
			ready 1 -> 2>1:f
			moved 2 -> 2:f0
			confirmed 2 f0 -> 1:f`},
		"given back without a move": {8, 2, `
			ready 1 -> 1:f
			ready 2 -> 2:f0
			confirmed 1 f ->
			confirmed 2 f0 ->
			reaped 1 ->
			away 1 -> 2:ff
			confirmed 2 ff ->
			ready 1 -> 2>1:f
			stuck 2 -> 2:f0
			confirmed 2 f0 -> 1:f`},
		"a sibling of three adopts half": {8, 3, `
			ready 1 -> 1:3
			ready 2 -> 2:1c
			ready 3 -> 3:e0
			confirmed 1 3 ->
			confirmed 2 1c ->
			confirmed 3 e0 ->
			reaped 2 ->
			away 2 -> 1:f 3:f0
			confirmed 1 f ->
			confirmed 3 f0 ->
			ready 2 -> 1>2:c
			moved 1 -> 1:3
			confirmed 1 3 -> 2:c
			confirmed 2 c -> 3>2:10
			moved 3 -> 3:e0
			confirmed 3 e0 -> 2:1c`},
		"nobody is ready: the slots wait, and the first one adopts": {8, 2, `
			away 1 ->
			away 2 ->
			ready 2 -> 2:ff
			confirmed 2 ff ->
			ready 1 -> 2>1:f
			moved 2 -> 2:f0
			confirmed 2 f0 -> 1:f`},
		"a sibling that is down for a moment is not adopted": {8, 2, `
			ready 1 -> 1:f
			ready 2 -> 2:f0
			confirmed 1 f ->
			confirmed 2 f0 ->
			reaped 1 ->
			reaped 2 ->
			away 1 ->
			ready 2 -> 2:ff`},
		"back before the adopter confirmed": {8, 2, `
			ready 1 -> 1:f
			ready 2 -> 2:f0
			confirmed 1 f ->
			confirmed 2 f0 ->
			reaped 1 ->
			away 1 -> 2:ff
			ready 1 ->
			confirmed 2 ff -> 2>1:f
			moved 2 -> 2:f0
			confirmed 2 f0 -> 1:f`},
		"the adopter dies while it gives back": {8, 2, `
			ready 1 -> 1:f
			ready 2 -> 2:f0
			confirmed 1 f ->
			confirmed 2 f0 ->
			reaped 1 ->
			away 1 -> 2:ff
			confirmed 2 ff ->
			ready 1 -> 2>1:f
			reaped 2 ->
			stuck 2 -> 1:f
			ready 2 -> 2:f0`},
		"the adopter dies when it has given back": {8, 2, `
			ready 1 -> 1:f
			ready 2 -> 2:f0
			confirmed 1 f ->
			confirmed 2 f0 ->
			reaped 1 ->
			away 1 -> 2:ff
			confirmed 2 ff ->
			ready 1 -> 2>1:f
			moved 2 -> 2:f0
			reaped 2 -> 1:f
			moved 2 ->
			ready 2 -> 2:f0`},
		"the one that gets them back dies before": {8, 2, `
			ready 1 -> 1:f
			ready 2 -> 2:f0
			confirmed 1 f ->
			confirmed 2 f0 ->
			reaped 1 ->
			away 1 -> 2:ff
			confirmed 2 ff ->
			ready 1 -> 2>1:f
			reaped 1 ->
			stuck 2 ->
			ready 1 -> 2>1:f
			moved 2 -> 2:f0
			reaped 1 ->
			confirmed 2 f0 ->
			away 1 -> 2:ff`},
		"the one that gets them dies after the clients went": {8, 2, `
			ready 1 -> 1:f
			ready 2 -> 2:f0
			confirmed 1 f ->
			confirmed 2 f0 ->
			leave 1 -> 1>2:f
			reaped 2 ->
			away 2 ->
			moved 1 -> 1:f0
			confirmed 1 f0 -> 1:ff`},
		"one that is to stop": {8, 2, `
			ready 1 -> 1:f
			ready 2 -> 2:f0
			confirmed 1 f ->
			confirmed 2 f0 ->
			leave 1 -> 1>2:f
			moved 1 -> 1:0
			confirmed 1 0 -> 2:ff
			reaped 1 ->
			confirmed 2 ff ->
			ready 1 -> 2>1:f`},
		"all are to stop": {8, 2, `
			ready 1 -> 1:f
			ready 2 -> 2:f0
			confirmed 1 f ->
			confirmed 2 f0 ->
			leave 1 -> 1>2:f
			leave 2 ->
			moved 1 -> 1:0
			confirmed 1 0 -> 2:ff
			confirmed 2 ff ->
			reaped 1 ->
			reaped 2 ->
			ready 2 -> 2:ff`},
		"scaling up": {8, 2, `
			ready 1 -> 1:f
			ready 2 -> 2:f0
			confirmed 1 f ->
			confirmed 2 f0 ->
			add 3 ->
			ready 3 -> 1>3:8
			moved 1 -> 1:7
			confirmed 1 7 -> 3:8
			confirmed 3 8 -> 2>3:80
			moved 2 -> 2:70
			confirmed 2 70 -> 3:88`},
		"scaling down": {8, 3, `
			ready 1 -> 1:3
			ready 2 -> 2:1c
			ready 3 -> 3:e0
			confirmed 1 3 ->
			confirmed 2 1c ->
			confirmed 3 e0 ->
			remove 3 -> 3>1:60
			moved 3 -> 3:80
			confirmed 3 80 -> 3>2:80 1:63
			moved 3 -> 3:0
			confirmed 3 0 -> 2:9c
			reaped 3 ->
			ready 3 ->`},
		"scaling down one that is down": {8, 2, `
			ready 1 -> 1:f
			confirmed 1 f ->
			away 2 -> 1:ff
			confirmed 1 ff ->
			remove 2 ->
			ready 2 ->
			remove 1 ->
			add 2 ->
			ready 2 -> 1>2:f0`},
		"held for a replacement": {8, 2, `
			ready 1 -> 1:f
			ready 2 -> 2:f0
			confirmed 1 f ->
			confirmed 2 f0 ->
			hold 1 ->
			reaped 2 ->
			away 2 ->
			ready 1 ->
			release 1 -> 1:ff`},
		"held while it gets its slots back": {8, 2, `
			ready 2 -> 2:f0
			away 1 ->
			confirmed 2 f0 -> 2:ff
			confirmed 2 ff ->
			hold 1 ->
			ready 1 ->
			release 1 -> 2>1:f`},
		"one that drains gives back before its sibling reads": {8, 2, `
			ready 1 -> 1:f
			ready 2 -> 2:f0
			confirmed 1 f ->
			confirmed 2 f0 ->
			away 1 -> 1:0
			confirmed 1 0 -> 2:ff`},
		"one that hangs keeps its slots until it is reaped": {8, 2, `
			ready 1 -> 1:f
			ready 2 -> 2:f0
			confirmed 1 f ->
			confirmed 2 f0 ->
			away 1 -> 1:0
			reaped 1 -> 2:ff`},
		"wrong and foreign confirmations mean nothing": {8, 2, `
			ready 1 -> 1:f
			ready 2 -> 2:f0
			confirmed 1 f ->
			confirmed 2 f0 ->
			away 1 -> 1:0
			confirmed 1 f ->
			confirmed 1 1 ->
			confirmed 9 0 ->
			ready 9 ->
			away 9 ->
			reaped 9 ->
			confirmed 1 0 -> 2:ff
			confirmed 1 0 ->`},
		"unix dgram: one reader, the others stand by": {1, 3, `
			ready 1 -> 1:1
			ready 2 ->
			ready 3 ->
			confirmed 1 1 ->
			reaped 1 ->
			away 1 -> 2:1
			confirmed 2 1 ->
			reaped 2 -> 3:1
			away 2 ->
			confirmed 3 1 ->
			ready 2 ->
			ready 1 -> 3>1:1
			moved 3 -> 3:0
			confirmed 3 0 -> 1:1`},
		"unix dgram: the stand-in crashes once": {1, 2, `
			ready 1 -> 1:1
			ready 2 ->
			confirmed 1 1 ->
			reaped 1 ->
			away 1 -> 2:1
			reaped 2 ->
			ready 2 -> 2:1`},
	} {
		t.Run(name, func(t *testing.T) {
			ids := []int{1, 2, 3}[:c.processes]
			table := mustNew(t, c.slots, ids...)
			for line := range strings.Lines(strings.TrimSpace(c.story)) {
				say, want, _ := strings.Cut(strings.TrimSpace(line), "->")
				var verb string
				var id int
				var set Set
				if n, _ := fmt.Sscanf(say, "%s %d %x", &verb, &id, &set); n < 2 {
					t.Fatalf("bad line %q", line)
				}
				var got []string
				for _, cmd := range tell(t, table, verb, id, set) {
					if cmd.Move {
						got = append(got, fmt.Sprintf("%d>%d:%x", cmd.Process, cmd.To, cmd.Slots))
						continue
					}
					got = append(got, fmt.Sprintf("%d:%x", cmd.Process, cmd.Slots))
				}
				if g := strings.Join(got, " "); g != strings.TrimSpace(want) {
					t.Fatalf("%s: %q", strings.TrimSpace(line), g)
				}
			}
		})
	}
}

func tell(t *testing.T, table *Table, verb string, id int, set Set) []Command {
	switch verb {
	case "ready":
		return table.Ready(id)
	case "reaped":
		return table.Reaped(id)
	case "away":
		return table.Away(id)
	case "confirmed":
		return table.Confirmed(id, set)
	case "moved":
		return table.Moved(id, true)
	case "stuck":
		return table.Moved(id, false)
	case "leave":
		return table.Leave(id)
	case "add":
		return table.Add(id)
	case "remove":
		return table.Remove(id)
	case "hold":
		table.Hold(id)
		return nil
	case "release":
		return table.Release(id)
	}
	t.Fatalf("unknown event %q", verb)
	return nil
}
