package main

import (
	"bytes"
	"fmt"
	"io"
	"sync"
	"time"
)

const (
	// maxPending is how many bytes of log may wait to be written: one goroutine dump
	// of a plugin fits.
	maxPending = 16 << 20
	// logPatience is how long a full log holds up whoever logs, once until it moves
	// again, and how long Close waits.
	logPatience = time.Second
)

// logWriter writes to out in a goroutine of its own, so that a log that nobody reads,
// as behind a stopped terminal, neither keeps processes from being restarted nor the
// server from being stopped. What does not fit is dropped and counted in the log. Safe
// for concurrent use.
type logWriter struct {
	out   io.Writer
	last  io.Writer     // is told, once, that out fails; nil: nobody
	wake  chan struct{} // has room for one: there is something to write, or nothing to come
	moved chan struct{} // has room for one: something was taken to be written
	done  chan struct{} // closed when all is written

	mu      sync.Mutex // guards what follows
	pending []byte
	dropped int  // records since the last notice
	stalled bool // patience ran out; nobody waits until out moves again
	closed  bool

	// What follows belongs to the goroutine.
	failure error // why the last write failed, nil when it did not
	lost    int   // records that failures have cost and no notice tells of
	cut     bool  // out ends within a record
}

func newLogWriter(out, last io.Writer) *logWriter {
	l := &logWriter{out: out, last: last, wake: make(chan struct{}, 1), moved: make(chan struct{}, 1), done: make(chan struct{})}
	go l.run()
	return l
}

// Write takes one record. It never fails, and waits for room as long as logPatience.
func (l *logWriter) Write(p []byte) (int, error) {
	patience := time.NewTimer(logPatience)
	defer patience.Stop()
	for !l.put(p) {
		select {
		case <-l.moved:
		case <-patience.C:
			l.mu.Lock()
			l.stalled = true
			l.mu.Unlock()
		}
	}
	return len(p), nil
}

// put queues or drops p, and reports whether either was done.
func (l *logWriter) put(p []byte) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case len(l.pending)+len(p) <= maxPending && !l.closed:
		l.pending = append(l.pending, p...)
		signalOne(l.wake)
	case l.stalled || l.closed:
		l.dropped++
	default:
		return false
	}
	return true
}

// run writes until the writer is closed and empty.
func (l *logWriter) run() {
	defer close(l.done)
	for {
		batch, more := l.take()
		if len(batch) > 0 {
			l.write(batch)
			continue
		}
		if !more {
			return
		}
		<-l.wake
	}
}

// write writes a batch, or counts what of it cannot be written, as on a full disk: the
// next one is tried again.
func (l *logWriter) write(batch []byte) {
	if l.lost > 0 {
		notice := fmt.Appendf(nil, "antano: %d log records were dropped, because they could not be written: %v\n", l.lost, l.failure)
		if l.cut {
			notice = append([]byte("\n"), notice...)
		}
		if n, err := l.out.Write(notice); err != nil {
			l.cut = n > 0 || l.cut
			l.lost += bytes.Count(batch, []byte("\n"))
			return
		}
		l.lost, l.cut = 0, false
	}
	n, err := l.out.Write(batch)
	if err == nil {
		l.failure = nil
		return
	}
	l.lost += bytes.Count(batch[n:], []byte("\n"))
	l.cut = n > 0 && batch[n-1] != '\n'
	if l.failure == nil && l.last != nil {
		fmt.Fprintf(l.last, "antano: the log cannot be written, and records are dropped until it can: %v\n", err)
	}
	l.failure = err
}

func (l *logWriter) take() (batch []byte, more bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	batch, l.pending, l.stalled = l.pending, nil, false
	if l.dropped > 0 && len(batch) > 0 {
		batch = fmt.Appendf(batch, "antano: %d log records were dropped, because the log was not read or written fast enough\n", l.dropped)
		l.dropped = 0
	}
	signalOne(l.moved)
	return batch, !l.closed
}

// Close waits until all is written, at most logPatience. What is written later is
// dropped.
func (l *logWriter) Close() {
	l.mu.Lock()
	l.closed = true
	l.mu.Unlock()
	signalOne(l.wake)
	select {
	case <-l.done:
	case <-time.After(logPatience):
	}
}

func signalOne(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
