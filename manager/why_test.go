package manager

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/antano/antano/manager/internal/event"
	"github.com/antano/antano/manager/internal/process"
	"github.com/antano/antano/manager/internal/restart"
)

// TestAdvice is the truth table of what to do.
func TestAdvice(t *testing.T) {
	code, signal := func(n int) *int { return &n }, func(s string) *string { return &s }
	exit := func(e LastExit) []ProcessExit { return []ProcessExit{{LastExit: e}} }
	counts := &WhyBackoff{}
	for says, y := range map[string]Why{
		"fails its health checks":       {State: "ready", Health: &WhyHealth{Of: 3}, Exits: exit(LastExit{Code: code(1)}), Backoff: counts},
		"antano start tcp/1":            {State: "stopped", Exits: exit(LastExit{Code: code(0)})},
		"it has never ended":            {State: "starting", Generation: 1},
		"is not known any more":         {State: "ready", Generation: 3},
		"are forgotten":                 {State: "ready", Exits: exit(LastExit{Code: code(1)})},
		"antano reload":                 {State: "failed", Exits: exit(LastExit{Code: code(78)}), Backoff: counts},
		"it hung":                       {State: "ready", Exits: exit(LastExit{Code: code(2), Cause: "hung: 3 health checks failed"}), Backoff: counts},
		"dmesg":                         {State: "backoff", Exits: exit(LastExit{Signal: signal("SIGKILL")}), Backoff: counts},
		"antano restart tcp/1":          {State: "failed", Exits: exit(LastExit{Code: code(1)}), Backoff: counts},
		"for the cause":                 {State: "backoff", Exits: exit(LastExit{Code: code(1)}), Backoff: counts},
		"read its last lines and 'anta": {State: "ready", Exits: exit(LastExit{Code: code(1)}), Backoff: counts},
	} {
		y.Service, y.ProcessID = "tcp", 1
		if got := y.advise(); !strings.Contains(got, says) {
			t.Errorf("%+v: %q, want %q", y, got, says)
		}
	}
}

// TestBackoffIsForgotten shows the decision until the process has been ready for long
// enough.
func TestBackoffIsForgotten(t *testing.T) {
	now := time.Now()
	d := restart.Decision{Action: restart.Backoff, After: 200 * time.Millisecond, Step: 2, Forgotten: 30 * time.Second, Reason: "it exited"}
	ready := func(ago time.Duration) process.Status {
		return process.Status{State: event.Ready, ReadyAt: now.Add(-ago)}
	}
	if b := backoff(d, process.Status{State: event.Backoff}, now); b == nil || b.Step != 2 || b.DelayS != 0.2 || b.ResetsAt != nil || !strings.Contains(b.Resets, "30s") {
		t.Errorf("in backoff: %+v", b)
	}
	if b := backoff(d, ready(29*time.Second), now); b == nil || b.ResetsAt == nil || !b.ResetsAt.Equal(now.Add(time.Second)) {
		t.Errorf("ready for 29 s: %+v", b)
	}
	if b := backoff(d, ready(30*time.Second), now); b != nil {
		t.Errorf("ready for 30 s: %+v", b)
	}
	for action, says := range map[restart.Action]string{restart.Failed: "becomes ready", restart.Never: "binary"} {
		if b := backoff(restart.Decision{Action: action}, process.Status{State: event.Failed}, now); b == nil || !strings.Contains(b.Resets, says) {
			t.Errorf("%s: %+v", action, b)
		}
	}
}

// TestEvidence keeps the last ten exits, newest first, and the health of the current
// generation.
func TestEvidence(t *testing.T) {
	var v evidence
	for i := range 13 {
		v.moved(process.Event{State: event.Backoff, Exit: &event.Exit{Code: i}, Ended: event.Ref{Generation: i, PID: 100 + i}})
	}
	if len(v.exits) != keptExits || v.exits[0].Generation != 12 || v.exits[9].Generation != 3 || v.exits[0].PID != 112 || *v.exits[0].Code != 12 {
		t.Errorf("kept %+v", v.exits)
	}
	late := fmt.Errorf("asked: %w", context.DeadlineExceeded)
	for _, step := range []struct {
		failing string
		err     error
		misses  int
		says    string
	}{
		{"accept loop", nil, 1, "accept loop"},
		{"", late, 2, "no answer within 2s"},
		{"", context.Canceled, 2, "no answer within 2s"},
		{"", errors.New("broken"), 3, "broken"},
		{"", nil, 0, ""},
		{"slot 3", nil, 1, "slot 3"},
	} {
		if failing, err := v.asked(step.failing, step.err, 2*time.Second); failing != step.failing || err != step.err {
			t.Errorf("the answer became %q, %v", failing, err)
		}
		if v.misses != step.misses || v.failing != step.says {
			t.Errorf("after %q, %v: %d misses, %q", step.failing, step.err, v.misses, v.failing)
		}
	}
	v.moved(process.Event{State: event.Starting, Aside: true})
	if v.misses != 1 {
		t.Error("a successor that starts wipes the misses of the one that serves")
	}
	if v.moved(process.Event{State: event.Starting}); v.misses != 0 || v.failing != "" {
		t.Error("the misses of an earlier generation are kept")
	}
}
