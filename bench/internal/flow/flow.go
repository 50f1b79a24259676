// Package flow is the load of messages that pass through a server from a sender to
// receivers, all of them raw connections in this program. Every message is the same, so
// that the sender writes bytes made before and receivers only compare: the clients must
// not be what is measured. No more than a window of messages is under way, so that a
// server without back-pressure is not driven into losing any.
package flow

import (
	"context"
	"fmt"
	"net"
	"sync"
	"time"
)

// Flow is one load.
type Flow struct {
	Request   []byte // a message, as the sender writes it
	Arrival   []byte // and as each receiver reads it
	Receipt   []byte // what the sender reads for each message, if anything
	Window    int    // messages under way at once
	Length    time.Duration
	Datagrams bool // of the sender: each message is one, and some may be lost
	Packets   bool // of the receivers
}

// Result is what was reached; PerSecond counts deliveries.
type Result struct {
	PerSecond float64
	Sent      int
	Delivered int
	Lost      int // of datagrams; on streams a loss is an error
}

// patience bounds the wait for messages that do not come; quiet is how long none comes
// when the rest of the datagrams is lost.
const (
	patience = 20 * time.Second
	quiet    = 200 * time.Millisecond
)

// run is a flow under way. Its counts belong to one goroutine each until all are over.
type run struct {
	Flow
	until    time.Time
	sent     int64
	came     *progress // to all receivers
	answered *progress
	each     []int
	last     []time.Time
	lost     int64 // given up by the sender
}

// Run sends from one connection to all receivers that the server delivers to. It blocks
// until what was sent has arrived, or nothing has for long.
func (f Flow) Run(ctx context.Context, from net.Conn, to []net.Conn) (Result, error) {
	r := &run{Flow: f, came: newProgress(), answered: newProgress(), each: make([]int, len(to)), last: make([]time.Time, len(to))}
	began := time.Now()
	r.until = began.Add(f.Length)
	deadline(from, to, r.until.Add(2*patience))
	ctx, cancel := context.WithCancelCause(ctx)
	defer context.AfterFunc(ctx, func() { deadline(from, to, time.Unix(1, 0)) })()
	var receivers sync.WaitGroup
	for i, c := range to {
		receivers.Go(func() {
			if err := r.receive(c, i); err != nil {
				cancel(err)
			}
		})
	}
	if len(f.Receipt) > 0 {
		receivers.Go(func() {
			if err := r.acknowledge(from); err != nil {
				cancel(err)
			}
		})
	}
	err := r.send(ctx, from)
	if err == nil {
		r.settle(ctx)
	}
	if cause := context.Cause(ctx); cause != nil {
		err = cause
	}
	cancel(nil)
	receivers.Wait()
	if err != nil {
		return Result{}, err
	}
	return r.result(began)
}

func deadline(from net.Conn, to []net.Conn, at time.Time) {
	_ = from.SetDeadline(at)
	for _, c := range to {
		_ = c.SetReadDeadline(at)
	}
}

func (r *run) result(began time.Time) (Result, error) {
	out, last := Result{Sent: int(r.sent)}, began
	for i, n := range r.each {
		out.Delivered += n
		if n > out.Sent {
			return out, fmt.Errorf("receiver %d got %d of %d messages", i, n, out.Sent)
		}
		if r.last[i].After(last) {
			last = r.last[i]
		}
	}
	out.Lost = out.Sent*len(r.each) - out.Delivered
	if !r.lossy() && (out.Lost != 0 || len(r.Receipt) > 0 && r.answered.total.Load() != r.sent) {
		return out, fmt.Errorf("%d of %d deliveries are missing, and %d of %d receipts came",
			out.Lost, out.Sent*len(r.each), r.answered.total.Load(), r.sent)
	}
	if out.Delivered == 0 {
		return out, fmt.Errorf("none of %d messages arrived", out.Sent)
	}
	out.PerSecond = float64(out.Delivered) / last.Sub(began).Seconds()
	return out, nil
}

func (r *run) lossy() bool { return r.Datagrams || r.Packets }

// settle waits until everything has arrived, as long as anything does.
func (r *run) settle(ctx context.Context) {
	long := patience
	if r.lossy() {
		long = quiet
	}
	for p, want := range map[*progress]int64{r.came: r.sent * int64(len(r.each)), r.answered: r.sent} {
		if p == r.answered && len(r.Receipt) == 0 {
			continue
		}
		for before := int64(-1); p.total.Load() != before && ctx.Err() == nil; {
			before = p.total.Load()
			if p.wait(want, long, time.Now().Add(long)) {
				break
			}
		}
	}
}
