package main

import (
	"context"
	"encoding/json"
	"fmt"
	"runtime"
	"syscall"
	"time"

	"github.com/antano/antano/plugin/format"
	"github.com/antano/antano/shared"
)

// codecCalls is how often each step is taken in one measurement.
const codecCalls = 200_000

// codec measures what a process does to a message of 128 bytes that it reads from a client
// and writes to another, beside what encoding/json takes to look at the same bytes.
func (b *bench) codec(ctx context.Context) error {
	payload := message("room", 7, true)
	var env format.Envelope
	var out []byte
	var decoded map[string]any
	scan := func() error { return format.Parse(shared.FormatJSON, payload, &env) }
	from := shared.Address{Entity: shared.EntityClient, ID: 1 << 45}
	steps := []struct {
		figure string
		do     func() error
	}{
		{"envelope scanned", scan},
		{"scanned and rebuilt", func() error {
			err := scan()
			out = format.AppendMessage(out[:0], shared.FormatJSON, env.To(), from, nil, env.Message)
			return err
		}},
		{"json.Valid", func() error {
			if !json.Valid(payload) {
				return fmt.Errorf("%q is no JSON", payload)
			}
			return nil
		}},
		{"json.Unmarshal", func() error { return json.Unmarshal(payload, &decoded) }},
	}
	for range b.rounds {
		for _, s := range steps {
			each, err := processorTimeOf(ctx, s.do)
			if err != nil {
				return fmt.Errorf("%s: %w", s.figure, err)
			}
			b.add(codecWork, s.figure, "µs", each)
		}
	}
	b.run.Table.CompareAll(codecWork, steps[1].figure)
	return nil
}

const codecWork = "codec, 128 B"

// processorTimeOf is that of one call in µs, on this thread.
func processorTimeOf(ctx context.Context, do func() error) (float64, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	before, err := threadTime()
	if err != nil {
		return 0, err
	}
	for range codecCalls {
		if err := do(); err != nil {
			return 0, err
		}
	}
	after, err := threadTime()
	if err == nil {
		err = context.Cause(ctx)
	}
	return float64((after - before).Nanoseconds()) / 1e3 / codecCalls, err
}

func threadTime() (time.Duration, error) {
	var u syscall.Rusage
	err := syscall.Getrusage(1, &u) // RUSAGE_THREAD
	return time.Duration(u.Utime.Nano() + u.Stime.Nano()), err
}
