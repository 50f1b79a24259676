package relay

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/antano/antano/shared/wire"
)

const (
	// helloTime is how long a connection may take to prove itself.
	helloTime = 5 * time.Second
	// maxUnproven is how many connections of one process group may be at it.
	maxUnproven = 16
	// acceptPause is the wait after a failed accept, such as out of descriptors.
	acceptPause = 50 * time.Millisecond
)

// Serve accepts links on ln, which it closes, and routes between them until ctx
// ends; then it closes all links and returns when all goroutines are gone. The
// error says why accepting ended; it is nil when ctx did.
func (r *Router) Serve(ctx context.Context, ln *net.UnixListener) error {
	ctx, cancel := context.WithCancel(ctx)
	var all sync.WaitGroup
	defer all.Wait()
	defer cancel()
	all.Go(func() {
		<-ctx.Done()
		_ = ln.Close()
	})
	all.Go(func() { r.sweep(ctx) })
	all.Go(func() { r.acknowledge(ctx) })
	for {
		conn, err := ln.AcceptUnix()
		switch {
		case ctx.Err() != nil:
			if err == nil {
				_ = conn.Close()
			}
			return nil
		case errors.Is(err, net.ErrClosed):
			return fmt.Errorf("accept on relay socket %s: %w", ln.Addr(), err)
		case err != nil:
			r.refused(fmt.Errorf("accept on relay socket %s: %w", ln.Addr(), err))
			select {
			case <-ctx.Done():
			case <-time.After(acceptPause):
			}
			continue
		}
		all.Go(func() {
			if err := r.welcome(ctx, conn); err != nil {
				_ = conn.Close()
				r.refused(err)
			}
		})
	}
}

func (r *Router) refused(err error) {
	if r.cfg.OnRefused != nil {
		r.cfg.OnRefused(err)
	}
}

// unixTransport is the transport of a real link.
type unixTransport struct {
	wire.Sink
	*net.UnixConn
}

func (t unixTransport) Write(p []byte) (int, error) { return t.Sink.Write(p) }
