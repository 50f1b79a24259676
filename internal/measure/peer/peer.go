// Package peer is the work that both ends of a relay do, whatever relay is between
// them, so that only the relay differs.
package peer

import (
	"fmt"
	"slices"
	"time"
)

// Link is a connection to the other peer through some relay.
type Link interface {
	Send(payload []byte) error
	Flush() error
	Receive() ([]byte, error)
	Dry() bool
}

// Work is what to do.
type Work struct {
	Kind  string `json:"kind"` // "oneway" or "roundtrip"
	Count int    `json:"count"`
	Size  int    `json:"size"`
}

// Result is what a peer measured.
type Result struct {
	PerSecond float64 `json:"per_second,omitempty"` // oneway, at the sink, from the first message to the last
	P50us     float64 `json:"p50_us,omitempty"`     // roundtrip
	P99us     float64 `json:"p99_us,omitempty"`
}

// Source sends. For a round trip it also waits for each answer.
func Source(l Link, w Work) (Result, error) {
	payload := make([]byte, w.Size)
	if w.Kind == "oneway" {
		for range w.Count {
			if err := l.Send(payload); err != nil {
				return Result{}, err
			}
		}
		if err := l.Flush(); err != nil {
			return Result{}, err
		}
		_, err := l.Receive() // the sink has them all
		return Result{}, err
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
		if _, err := l.Receive(); err != nil {
			return Result{}, err
		}
		took = append(took, float64(time.Since(began).Nanoseconds())/1e3)
	}
	took = took[len(took)/10:] // the first tenth warms up
	slices.Sort(took)
	return Result{P50us: took[len(took)/2], P99us: took[len(took)*99/100]}, nil
}

// Sink receives, and for a round trip sends each message back.
func Sink(l Link, w Work) (Result, error) {
	var began time.Time
	for i := range w.Count {
		m, err := l.Receive()
		if err != nil {
			return Result{}, err
		}
		if len(m) != w.Size {
			return Result{}, fmt.Errorf("message %d has %d bytes, not %d", i, len(m), w.Size)
		}
		if i == 0 {
			began = time.Now()
		}
		if w.Kind == "roundtrip" {
			if err := l.Send(m); err != nil {
				return Result{}, err
			}
			if l.Dry() {
				if err := l.Flush(); err != nil {
					return Result{}, err
				}
			}
		}
	}
	if w.Kind == "roundtrip" {
		return Result{}, nil
	}
	r := Result{PerSecond: float64(w.Count-1) / time.Since(began).Seconds()}
	if err := l.Send([]byte("done")); err != nil {
		return r, err
	}
	return r, l.Flush()
}
