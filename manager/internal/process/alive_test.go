package process

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/antano/antano/manager/internal/event"
)

type giveUp struct{ Policy }

func (giveUp) Exit(time.Time, UnplannedExit) Decision { return Decision{Next: event.Failed} }

// TestAlive: a state machine that hangs gives no sign of life; one that ended is not
// missed.
func TestAlive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hang := make(chan struct{})
		p := New(Config{Held: true, OnEvent: func(Event) { <-hang }})
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			p.Run(ctx)
		}()
		within := func() error {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			return p.Alive(ctx)
		}
		if err := within(); err != nil {
			t.Errorf("alive: %v", err)
		}
		go func() {
			_ = p.Start(ctx, Settings{Launch: func(context.Context, int) (Instance, error) { return nil, errors.New("no") }, Policy: giveUp{}})
		}() // makes an event
		synctest.Wait()
		if err := within(); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("it hangs and says %v", err)
		}
		close(hang)
		stop()
		<-ended
		if err := within(); err != nil {
			t.Errorf("ended: %v", err)
		}
	})
}
