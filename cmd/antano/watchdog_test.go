package main

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/go-hclog"
)

// TestWatchdog gives signs of life while the server is alive, and none when it hangs or
// fails, so that systemd ends it.
func TestWatchdog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var signs atomic.Int32
		n := &notifier{log: hclog.NewNullLogger(), every: time.Second, send: func(message string) error {
			if message != "WATCHDOG=1" {
				t.Errorf("said %q", message)
			}
			signs.Add(1)
			return nil
		}}
		var alive atomic.Value // func(context.Context) error
		alive.Store(func(context.Context) error { return nil })
		ready := make(chan struct{})
		ctx, end := context.WithCancel(t.Context())
		n.around.Go(func() {
			n.watch(ctx, func(ctx context.Context) error { return alive.Load().(func(context.Context) error)(ctx) }, ready)
		})
		expect := func(want int, what string) {
			t.Helper()
			time.Sleep(10*time.Second - time.Millisecond)
			synctest.Wait()
			if got := int(signs.Swap(0)); got != want {
				t.Errorf("%s: %d signs of life in 10 s, want %d", what, got, want)
			}
			time.Sleep(time.Millisecond)
			synctest.Wait()
		}
		expect(0, "before it is ready")
		close(ready)
		synctest.Wait()
		expect(10, "alive")
		alive.Store(func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() })
		expect(1, "it hangs") // the one that was due already
		alive.Store(func(context.Context) error { return errors.New("it is ill") })
		expect(0, "ill")
		end()
		n.around.Wait()
	})
}

func TestNobodyToNotify(t *testing.T) {
	t.Setenv("NOTIFY_SOCKET", "")
	n := newNotifier(hclog.NewNullLogger())
	for range 100 {
		n.onState("ready")
	}
	n.run(nil)
	n.close(errors.New("failed"))
}
