// Package peer is the work that both ends of a relay do, whatever relay is between
// them, so that only the relay differs.
package peer

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"time"
)

// Link is a connection to the other peer through some relay.
type Link interface {
	Send(payload []byte) error
	Flush() error
	Receive() ([]byte, error)
}

// Work is what to do.
type Work struct {
	Kind  string `json:"kind"` // "oneway" or "roundtrip"
	Count int    `json:"count"`
	Size  int    `json:"size"`
}

// Result is what a peer measured, or all peers of a work together.
type Result struct {
	Began     time.Time `json:"began,omitzero"` // oneway, at a sink: the first message
	Ended     time.Time `json:"ended,omitzero"` // and the last
	PerSecond float64   `json:"per_second,omitempty"`
	P50us     float64   `json:"p50_us,omitempty"` // roundtrip, at the source
	P99us     float64   `json:"p99_us,omitempty"`
	CPUus     float64   `json:"cpu_us,omitempty"` // oneway: time of the relay's process for each message
}

// Sum is the result of pairs that worked side by side, while the process between them
// used that much processor time. The times of round trips are the first pair's.
func Sum(w Work, sources, sinks []Result, cpu time.Duration) Result {
	r := sources[0]
	if w.Kind == "roundtrip" {
		return r
	}
	r.Began, r.Ended = sinks[0].Began, sinks[0].Ended
	for _, s := range sinks {
		if s.Began.Before(r.Began) {
			r.Began = s.Began
		}
		if s.Ended.After(r.Ended) {
			r.Ended = s.Ended
		}
	}
	count := len(sinks) * w.Count
	r.PerSecond = float64(count-len(sinks)) / r.Ended.Sub(r.Began).Seconds()
	r.CPUus = float64(cpu.Microseconds()) / float64(count)
	return r
}

// A source of one way is at most a window ahead of its sink, which says how far it is
// eight times a window, so that a relay without back-pressure loses nothing.
const (
	windowMessages = 1 << 16
	windowBytes    = 16 << 20
)

func (w Work) every() int { return max(1, min(windowMessages, windowBytes/max(w.Size, 1))/8) }

// Source sends. For a round trip it also waits for each answer.
func Source(l Link, w Work) (Result, error) {
	payload := make([]byte, w.Size)
	for i := range payload {
		payload[i] = byte(i)
	}
	if w.Kind == "oneway" {
		return Result{}, stream(l, w, payload)
	}
	took := make([]float64, 0, w.Count)
	for range w.Count {
		began := time.Now()
		if err := l.Send(payload); err != nil {
			return Result{}, err
		}
		if err := l.Flush(); err != nil {
			return Result{}, err
		}
		got, err := l.Receive()
		if err != nil {
			return Result{}, err
		}
		took = append(took, float64(time.Since(began).Nanoseconds())/1e3)
		if !bytes.Equal(got, payload) {
			return Result{}, errors.New("an answer differs from what was sent")
		}
	}
	took = took[len(took)/10:] // the first tenth warms up
	slices.Sort(took)
	return Result{P50us: took[len(took)/2], P99us: took[len(took)*99/100]}, nil
}

// stream sends all messages and waits until the sink has them.
func stream(l Link, w Work, payload []byte) error {
	every, heard := w.every(), 0
	for i := range w.Count {
		if i-heard*every >= 8*every {
			if err := l.Flush(); err != nil {
				return err
			}
			if _, err := l.Receive(); err != nil {
				return err
			}
			heard++
		}
		if err := l.Send(payload); err != nil {
			return err
		}
	}
	if err := l.Flush(); err != nil {
		return err
	}
	for ; heard < w.Count/every+1; heard++ { // the last says that it has them all
		if _, err := l.Receive(); err != nil {
			return err
		}
	}
	return nil
}

var soFar = []byte("so far")

// Sink receives, and for a round trip sends each message back. A message that is not as
// it was sent is an error: each of a round trip is compared, and the lengths of all.
func Sink(l Link, w Work) (Result, error) {
	var r Result
	every := w.every()
	for i := range w.Count {
		m, err := l.Receive()
		if err != nil {
			return Result{}, err
		}
		if len(m) != w.Size {
			return Result{}, fmt.Errorf("message %d has %d bytes, not %d", i, len(m), w.Size)
		}
		if i == 0 {
			r.Began = time.Now()
		}
		answer := m
		if w.Kind == "oneway" {
			if (i+1)%every != 0 {
				continue
			}
			answer = soFar
		}
		if err := l.Send(answer); err != nil {
			return Result{}, err
		}
		if err := l.Flush(); err != nil {
			return Result{}, err
		}
	}
	if w.Kind == "roundtrip" {
		return Result{}, nil
	}
	r.Ended = time.Now()
	if err := l.Send([]byte("done")); err != nil {
		return r, err
	}
	return r, l.Flush()
}
