package load

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"time"
)

// counter counts frames for somebody who waits for them.
type counter struct {
	n     atomic.Int64
	grown chan struct{}
}

func (c *counter) add(n int) {
	c.n.Add(int64(n))
	select {
	case c.grown <- struct{}{}:
	default:
	}
}

// batchBytes is written at once, at most.
const batchBytes = 16 << 10

// send writes messages until then, and returns when the last one has arrived.
func (r *stream) send(ctx context.Context, until time.Time, next func()) error {
	progress := &r.arrived
	if r.receipt.bytes != nil {
		progress = &r.answered
	}
	lost := 0
	batch := make([]byte, 0, batchBytes+len(r.out.bytes))
	for time.Now().Before(until) {
		n := r.window - (r.sent - lost - int(progress.n.Load()))
		if n <= 0 {
			more, err := r.await(ctx, progress, r.sent-lost-max(1, r.window*3/4))
			if err != nil {
				return err
			}
			lost += more
			continue
		}
		for batch = batch[:0]; n > 0 && len(batch) < batchBytes; n-- {
			next()
			r.sent++
			if r.from.r != nil {
				batch = append(batch, r.out.bytes...)
			} else if _, err := r.from.Write(r.out.bytes); err != nil {
				return err
			}
		}
		if len(batch) > 0 {
			if _, err := r.from.Write(batch); err != nil {
				return errors.Join(err, r.reason())
			}
		}
	}
	for _, c := range []*counter{progress, &r.arrived} {
		if _, err := r.await(ctx, c, r.sent-lost); err != nil {
			return err
		}
	}
	return nil
}

// reason is what the readers failed with, if they did.
func (r *stream) reason() error {
	select {
	case err := <-r.failed:
		return err
	default:
		return nil
	}
}

// await waits until c has reached n. When nothing comes any more, what is missing is
// lost, which is an error unless there are datagrams on the way.
func (r *stream) await(ctx context.Context, c *counter, n int) (lost int, err error) {
	timer := time.NewTimer(patience(r.datagrams))
	defer timer.Stop()
	for {
		have := int(c.n.Load())
		if have >= n {
			return 0, nil
		}
		select {
		case <-ctx.Done():
			return 0, context.Cause(ctx)
		case err := <-r.failed:
			return 0, errors.Join(errors.New("the connection of a client ended"), err)
		case <-c.grown:
		case <-timer.C:
			if int(c.n.Load()) > have {
				timer.Reset(patience(r.datagrams))
				continue
			}
			if !r.datagrams {
				return 0, fmt.Errorf("%d of %d messages did not arrive within %s", n-have, r.sent, answerTime)
			}
			return n - have, nil
		}
	}
}

// receive counts what arrives at one client until its connection is closed.
func (r *stream) receive(v *receiver) error {
	for pending := 0; ; {
		frame, err := v.fixed(len(v.in.bytes))
		if err != nil {
			return unlessClosed(err)
		}
		if err := v.expect(frame); err != nil {
			return err
		}
		if pending++; v.r == nil || v.r.Buffered() < len(v.in.bytes) {
			v.last = time.Now()
			r.arrived.add(pending)
			pending = 0
		}
	}
}

// take counts receipts, which may come in any order, until the connection is closed.
func (r *stream) take() error {
	at := r.receipt.numbers[0]
	for pending := 0; ; {
		frame, err := r.from.fixed(len(r.receipt.bytes))
		if err != nil {
			return unlessClosed(err)
		}
		if len(frame) == len(r.receipt.bytes) {
			copy(r.receipt.bytes[at:at+len(zero)], frame[at:])
		}
		if !bytes.Equal(frame, r.receipt.bytes) {
			return fmt.Errorf("%q came instead of a receipt like %q", frame, r.receipt.bytes)
		}
		if pending++; r.from.r == nil || r.from.r.Buffered() < len(frame) {
			r.answered.add(pending)
			pending = 0
		}
	}
}

// oneByOne sends for a time, each message when the one before has arrived.
func (r *stream) oneByOne(length time.Duration) (Result, error) {
	var times []time.Duration
	began := time.Now()
	deadline, patience := time.Time{}, patience(r.datagrams)
	for now := began; now.Sub(began) < length; {
		if now.After(deadline.Add(-patience)) {
			deadline = now.Add(2 * patience)
			if err := errors.Join(r.from.SetReadDeadline(deadline), r.to.SetReadDeadline(deadline)); err != nil {
				return Result{}, err
			}
		}
		r.out.next()
		r.sent++
		err := r.one()
		if errors.Is(err, os.ErrDeadlineExceeded) && r.datagrams {
			now = time.Now()
			continue
		}
		if err != nil {
			return Result{}, err
		}
		end := time.Now()
		times = append(times, end.Sub(now))
		now = end
	}
	p50, p99 := percentiles(times)
	return Result{Count: len(times), Lost: r.sent - len(times), PerSecond: float64(len(times)) / time.Since(began).Seconds(), P50: p50, P99: p99}, nil
}

// one sends a message and waits for it.
func (r *stream) one() error {
	if _, err := r.from.Write(r.out.bytes); err != nil {
		return err
	}
	frame, err := r.to.fixed(len(r.to.in.bytes))
	if err != nil {
		return err
	}
	if err := r.to.expect(frame); err != nil || r.receipt.bytes == nil {
		return err
	}
	frame, err = r.from.fixed(len(r.receipt.bytes))
	if err != nil {
		return err
	}
	r.receipt.next()
	if !bytes.Equal(frame, r.receipt.bytes) {
		return fmt.Errorf("%q came instead of %q", frame, r.receipt.bytes)
	}
	return nil
}
