package main

import (
	"testing"
	"time"

	"github.com/antano/antano/chaos/internal/ledger"
	"github.com/antano/antano/chaos/internal/load"
	"github.com/antano/antano/manager"
)

// TestStall subtracts the time without a manager, and nothing else.
func TestStall(t *testing.T) {
	at := func(ms int) time.Time { return time.Unix(0, 0).Add(time.Duration(ms) * time.Millisecond) }
	down := []load.Span{{From: at(100), Until: at(400)}}
	for _, c := range []struct {
		name        string
		from, until int
		want        time.Duration
	}{
		{"before", 10, 90, 80 * time.Millisecond},
		{"over the end of the manager and its successor", 90, 450, 50 * time.Millisecond},
		{"begun without a manager", 200, 470, 70 * time.Millisecond},
		{"after", 410, 430, 20 * time.Millisecond},
	} {
		if got := stall([]load.Span{{From: at(c.from), Until: at(c.until)}}, down); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}

// TestDrops counts what came since the first status, also of a process that is gone.
func TestDrops(t *testing.T) {
	status := func(processes ...manager.ProcessStatus) manager.Status {
		return manager.Status{Services: []manager.ServiceStatus{{Processes: processes}}}
	}
	process := func(id int, overloaded, kernel uint64) manager.ProcessStatus {
		return manager.ProcessStatus{ProcessID: id, Drops: map[string]uint64{"overloaded": overloaded, "kernel": kernel}}
	}
	var d drops
	d.see(status(process(1, 5, 1)))
	d.see(status(process(1, 7, 2), process(2, 3, 0)))
	d.see(status(process(1, 8, 2), manager.ProcessStatus{ProcessID: 3, Drops: map[string]uint64{"process_lost": 4, "no_such_entity": 2}}))
	if got, want := d.sum(), (ledger.Drops{All: 13, Kernel: 1, Gone: 6}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

// TestChangeRow changes one row of the params of a run.
func TestChangeRow(t *testing.T) {
	f := fault{limits: "{max_clients: 9}", params: quickRestart}
	before := f.file()
	for _, name := range targets {
		if after := changeRow(before, name, "processes: 2", "processes: 3"); after == before {
			t.Errorf("the row of %s is as before", name)
		}
	}
}
