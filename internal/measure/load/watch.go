package load

import (
	"context"
	"net"
	"sync"
	"time"
)

// Watch keeps clients connected until ctx ends, each of which asks every so often, and
// says how long the answers took. A connection that ends, or a wrong answer, is an error.
func Watch(ctx context.Context, to Target, clients int, every time.Duration) (Result, error) {
	conns, err := dialAll(ctx, to, clients)
	if err != nil {
		return Result{}, err
	}
	defer closeAll(conns)
	times, errs := make([][]time.Duration, clients), make([]error, clients)
	var running sync.WaitGroup
	for i, c := range conns {
		running.Go(func() { times[i], errs[i] = watch(ctx, to, c, every) })
	}
	running.Wait()
	if err := first(errs); err != nil {
		return Result{}, err
	}
	var r Result
	var all []time.Duration
	for _, t := range times {
		all = append(all, t...)
	}
	r.Count = len(all)
	r.P50, r.P99 = percentiles(all)
	if len(all) > 0 {
		r.Longest = all[len(all)-1]
	}
	return r, nil
}

// watch is one client. It ends between two requests.
func watch(ctx context.Context, to Target, c net.Conn, every time.Duration) (times []time.Duration, err error) {
	l := Ping{Depth: 1, Request: pingRequest, Answer: pingAnswer}.loop(to, c, time.Time{})
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return times, nil
		case <-tick.C:
		}
		began := time.Now()
		if err := c.SetDeadline(began.Add(2 * answerTime)); err != nil {
			return times, err
		}
		if _, err := l.burst(); err != nil {
			return times, err
		}
		times = append(times, time.Since(began))
	}
}
