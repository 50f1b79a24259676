package relay

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"

	"github.com/antano/antano/shared"
	"github.com/antano/antano/shared/wire"
)

// attach makes l the link over conn, whose peer is proven, and routes until it
// ends. It returns when l is down. The error says that conn was not accepted.
func (r *Router) attach(ctx context.Context, l *Link, conn transport) error {
	queue := wire.NewQueue(conn, l.launch.QueueLimit, settle)
	if err := r.admit(l, conn, queue); err != nil {
		return err
	}
	close(l.up)
	l.run(ctx)
	return nil
}

// admit makes l one that is up, with a welcome first in its queue.
func (r *Router) admit(l *Link, conn transport, queue *wire.Queue) error {
	r.cut.Lock()
	defer r.cut.Unlock()
	r.mu.Lock()
	defer r.mu.Unlock()
	if l.state != stateExpected {
		return fmt.Errorf("%s is linked already or ended", l)
	}
	welcome := wire.Welcome{Version: shared.ProtocolVersion, Server: r.cfg.ServerID, Sequences: r.grant(l), Window: r.cfg.Window}
	if err := queue.PutControl(func(dst []byte) []byte { return wire.AppendWelcome(dst, &welcome) }); err != nil {
		return err
	}
	l.conn, l.queue = conn, queue
	r.arrive(l)
	return nil
}

// run reads l until it ends and cleans up behind it.
func (l *Link) run(ctx context.Context) {
	ctx, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(ctx, func() { l.fail(errClosed) })
	var writer sync.WaitGroup
	writer.Go(func() {
		if err := l.queue.Run(ctx); ctx.Err() == nil {
			l.linger(fmt.Errorf("relay link of %s cannot be written to: %w", l, err))
		}
	})
	l.queue.Flush()
	err := l.read(ctx)
	l.publish()
	stop()
	l.teardown(err)
	cancel()
	_ = l.conn.Close()
	writer.Wait()
	l.countLost()
	close(l.down)
}

// teardown answers for everything that was open at l.
func (l *Link) teardown(err error) {
	switch {
	case errors.Is(err, io.EOF):
		err = fmt.Errorf("relay link of %s was closed by the process: %w", l, err)
	case errors.Is(err, os.ErrDeadlineExceeded):
		err = errClosed
	default:
		err = fmt.Errorf("relay link of %s: %w", l, err)
	}
	l.r.mu.Lock()
	l.leave(err)
	l.r.mu.Unlock()

	l.queue.Close(wire.ErrClosed)
	if l.groups.Load() > 0 {
		l.r.groups.forget(l)
	}
	l.pending.close(&l.reader.out)
	l.reader.out.flush()
}
