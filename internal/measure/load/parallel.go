package load

import (
	"context"
	"net"
	"sync"
	"sync/atomic"
)

// atOnce bounds what connects or joins at the same time.
const atOnce = 64

// parallel calls do for 0 to n-1, up to atOnce at a time, and returns the first error,
// after which it begins nothing more.
func parallel(ctx context.Context, n int, do func(int) error) error {
	var next atomic.Int64
	var once sync.Once
	var failed error
	var running sync.WaitGroup
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	for range min(n, atOnce) {
		running.Go(func() {
			for i := int(next.Add(1)) - 1; i < n && ctx.Err() == nil; i = int(next.Add(1)) - 1 {
				if err := do(i); err != nil {
					once.Do(func() { failed = err })
					cancel()
				}
			}
		})
	}
	running.Wait()
	if failed != nil {
		return failed
	}
	return context.Cause(ctx)
}

// interrupt closes conns once ctx ends, until undo is called.
func interrupt(ctx context.Context, conns []net.Conn) (undo func() bool) {
	return context.AfterFunc(ctx, func() {
		for _, c := range conns {
			c.Close()
		}
	})
}
