package main

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/antano/antano/internal/testserver"
)

// binDir holds the real binaries, built once.
var binDir string

func TestMain(m *testing.M) {
	code := 1
	// A program with the race detector else sleeps for a second before it exits.
	os.Setenv("GORACE", "atexit_sleep_ms=10 "+os.Getenv("GORACE"))
	if dir, err := os.MkdirTemp("", "ac"); err == nil {
		binDir = dir
		if err := testserver.Build(dir, raceFlags); err != nil {
			fmt.Fprintln(os.Stderr, err)
		} else {
			code = m.Run()
		}
		os.RemoveAll(dir)
	}
	os.Exit(code)
}

// TestChaos is the short form: the cheapest faults, two seconds each. Times are
// measured and judged by `make chaos` alone.
func TestChaos(t *testing.T) {
	for _, name := range []string{"sigkill", "scale", "managerkill", "badreload"} {
		t.Run(name, func(t *testing.T) {
			chosen, err := choose(name)
			if err != nil {
				t.Fatal(err)
			}
			r, err := disturb(t.Context(), chosen[0], options{binDir: binDir, duration: 2 * time.Second, seed: 1})
			if err != nil {
				t.Fatal(err)
			}
			var table bytes.Buffer
			if err := printTable(&table, []result{r}); err != nil {
				t.Fatal(err)
			}
			t.Logf("\n%s", &table)
			if len(r.Unmet) > 0 {
				t.Errorf("%d bars are not met", len(r.Unmet))
			}
		})
	}
}

// TestLossIsSeen makes a result in which each figure is bad in turn: the bar says so.
func TestLossIsSeen(t *testing.T) {
	good := func() (r result) {
		r.Sent, r.Repeats = 1, 1
		return r
	}
	for _, c := range []struct {
		name  string
		spoil func(r *result)
		crash bool // the same is allowed in a crash
	}{
		{"lost", func(r *result) { r.Lost = 1 }, false},
		{"broken promises", func(r *result) { r.Totals.Broken = 1 }, false},
		{"refused", func(r *result) { r.Refused = 1 }, false},
		{"connections broken of processes that did not crash", func(r *result) { r.Foreign = 1 }, false},
		{"another id", func(r *result) { r.Renamed = 1 }, false},
		{"with a connection", func(r *result) { r.WithConnection = 1 }, true},
		{"with a process", func(r *result) { r.WithProcess = 1 }, true},
		{"with the manager", func(r *result) { r.WithManager = 1 }, false},
		{"connections broken", func(r *result) { r.Losses.Broken = 1 }, true},
		{"descriptors", func(r *result) { r.Grown = 1 }, false},
		{"goroutines", func(r *result) { r.Goroutines = spareGoroutines + 1 }, false},
		{"leftovers", func(r *result) { r.Leftovers = []string{"x"} }, false},
		{"unexpected", func(r *result) { r.Unexpected = []string{"x"} }, false},
		{"nothing was sent", func(r *result) { r.Sent = 0 }, false},
		{"undisturbed clients waited", func(r *result) { r.Stall = time.Second }, false},
	} {
		for _, f := range []fault{{planned: true}, {crash: true}} {
			r := good()
			r.judge(f, true)
			if len(r.Unmet) > 0 {
				t.Fatalf("a good result is judged: %q", r.Unmet)
			}
			c.spoil(&r)
			r.judge(f, true)
			if met := len(r.Unmet) == 0; met != (f.crash && c.crash) {
				t.Errorf("%s, crash %t: bar met %t", c.name, f.crash, met)
			} else if !met && !strings.Contains(r.Unmet[0], c.name) {
				t.Errorf("%s: %q", c.name, r.Unmet)
			}
		}
	}
}
