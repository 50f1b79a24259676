package load

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"sync"
	"time"
)

// Ping is a load of requests with one fixed answer.
type Ping struct {
	Connections int
	Depth       int // requests in flight on each connection
	Length      time.Duration
	Request     string // without line end; empty: the ping of a message object
	Answer      string
}

const (
	pingRequest = `{"type":"ping"}`
	pingAnswer  = `{"type":"pong"}`
)

// Result is what a load has reached.
type Result struct {
	PerSecond float64
	P50, P99  time.Duration // from the first request of a burst to its last answer
	Longest   time.Duration // of Watch
	Count     int
	Lost      int // datagrams without an answer
}

const (
	// answerTime is how long an answer may take before there is something wrong.
	answerTime = 15 * time.Second
	// lostTime is how long nothing comes, at least, when a datagram counts as lost.
	lostTime = time.Second
)

// patience is how long a client of t waits at least.
func patience(datagrams bool) time.Duration {
	if datagrams {
		return lostTime
	}
	return answerTime
}

// Run keeps Depth requests in flight on each connection for Length and counts the
// answers. A wrong answer is an error.
func (p Ping) Run(ctx context.Context, to Target) (Result, error) {
	if p.Request == "" {
		p.Request, p.Answer = pingRequest, pingAnswer
	}
	conns, err := dialAll(ctx, to, p.Connections)
	if err != nil {
		return Result{}, err
	}
	defer closeAll(conns)
	defer interrupt(ctx, conns)()
	loops, errs := make([]pingLoop, p.Connections), make([]error, p.Connections)
	var running sync.WaitGroup
	began := time.Now()
	for i, c := range conns {
		loops[i] = p.loop(to, c, began.Add(p.Length))
		running.Go(func() { errs[i] = loops[i].run() })
	}
	running.Wait()
	took := time.Since(began)
	if err := errors.Join(context.Cause(ctx), first(errs)); err != nil {
		return Result{}, err
	}
	var r Result
	var times []time.Duration
	for _, l := range loops {
		r.Count += l.count
		r.Lost += l.lost
		times = append(times, l.times...)
	}
	r.PerSecond = float64(r.Count) / took.Seconds()
	r.P50, r.P99 = percentiles(times)
	return r, nil
}

// first is the first error, of clients that all fail for the same reason.
func first(errs []error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// percentiles sorts times.
func percentiles(times []time.Duration) (p50, p99 time.Duration) {
	if len(times) == 0 {
		return 0, 0
	}
	slices.Sort(times)
	return times[len(times)/2], times[len(times)*99/100]
}

// pingLoop is one connection of a Ping.
type pingLoop struct {
	conn      net.Conn
	datagrams bool
	depth     int
	until     time.Time
	request   []byte // of a burst, or one datagram
	answer    []byte
	buf       []byte
	deadline  time.Time

	count, lost int
	times       []time.Duration
}

func (p Ping) loop(to Target, c net.Conn, until time.Time) pingLoop {
	l := pingLoop{conn: c, datagrams: !to.lines(), depth: p.Depth, until: until, request: []byte(p.Request), answer: []byte(p.Answer)}
	if !l.datagrams {
		l.request = bytes.Repeat(append(l.request, '\n'), p.Depth)
		l.answer = bytes.Repeat(append(l.answer, '\n'), p.Depth)
	}
	l.buf = make([]byte, len(l.answer)+1)
	return l
}

// timesKept bounds the memory of one connection.
const timesKept = 1 << 16

func (l *pingLoop) run() error {
	patience := patience(l.datagrams)
	for now := time.Now(); now.Before(l.until); {
		if now.After(l.deadline.Add(-patience)) {
			l.deadline = now.Add(2 * patience)
			if err := l.conn.SetReadDeadline(l.deadline); err != nil {
				return err
			}
		}
		n, err := l.burst()
		if err != nil {
			return err
		}
		l.count += n
		l.lost += l.depth - n
		end := time.Now()
		if len(l.times) < timesKept && n == l.depth {
			l.times = append(l.times, end.Sub(now))
		}
		now = end
	}
	return nil
}

// burst writes Depth requests and returns how many answers came.
func (l *pingLoop) burst() (int, error) {
	if !l.datagrams {
		if _, err := l.conn.Write(l.request); err != nil {
			return 0, err
		}
		if _, err := io.ReadFull(l.conn, l.buf[:len(l.answer)]); err != nil {
			return 0, err
		}
		return l.depth, l.check(len(l.answer))
	}
	for range l.depth {
		if _, err := l.conn.Write(l.request); err != nil {
			return 0, err
		}
	}
	for i := range l.depth {
		n, err := l.conn.Read(l.buf)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return i, nil
		}
		if err != nil {
			return i, err
		}
		if err := l.check(n); err != nil {
			return i, err
		}
	}
	return l.depth, nil
}

func (l *pingLoop) check(n int) error {
	if !bytes.Equal(l.buf[:n], l.answer) {
		return fmt.Errorf("the answer to %q is %q", l.request, l.buf[:n])
	}
	return nil
}
