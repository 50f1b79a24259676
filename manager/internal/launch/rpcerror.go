package launch

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Bounds of a remote call.
const (
	maxCall      = time.Minute // where the caller sets no deadline
	exitWait     = time.Second // for the exit that a broken connection announces
	maxErrorText = 1024        // of what a plugin says went wrong
)

// call makes one remote call that ends with ctx or the process.
func (p *Process) call(ctx context.Context, what string, f func(context.Context) error) error {
	limit := func() {}
	if _, ok := ctx.Deadline(); !ok {
		ctx, limit = context.WithTimeout(ctx, maxCall)
	}
	defer limit()
	inner, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(p.run.life, cancel)()
	err := f(inner)
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s plugin %s (pid %d): %w", what, filepath.Base(p.run.spec.Path), p.PID(), p.explainCall(ctx, err))
}

// explainCall maps what gRPC says to the package's errors.
func (p *Process) explainCall(ctx context.Context, err error) error {
	code := status.Code(err)
	if ctx.Err() == nil && (code == codes.Unavailable || code == codes.Canceled) {
		p.awaitExit(ctx)
	}
	switch {
	case p.run.life.Err() != nil:
		return fmt.Errorf("%w: %s", ErrExited, p.run.child.exit.Cause)
	case errors.Is(ctx.Err(), context.DeadlineExceeded) || code == codes.DeadlineExceeded:
		return ErrTimeout
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.Is(err, ErrRefused):
		return err
	case code == codes.Unimplemented:
		return fmt.Errorf("%w: it does not implement the call", ErrRefused)
	}
	return fmt.Errorf("%w: %s", ErrRefused, clean(status.Convert(err).Message()))
}

// awaitExit waits a moment for the process: a connection breaks before the exit of
// the process at its other end is seen.
func (p *Process) awaitExit(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, exitWait)
	defer cancel()
	_ = p.run.Wait(ctx)
}

// invalid marks an answer that does not hold what the protocol promises.
func invalid[T any](v T, err error) (T, error) {
	if err != nil {
		err = fmt.Errorf("%w: %w", ErrRefused, err)
	}
	return v, err
}

func clean(s string) string {
	if len(s) > maxErrorText {
		s = s[:maxErrorText] + "…"
	}
	return printable(s)
}
