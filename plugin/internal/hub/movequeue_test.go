package hub

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/antano/antano/shared"
)

// A message that waits for room goes with its client, is sent once, and counted once.
func TestMoveParked(t *testing.T) {
	w := newWorld(t, func(cfg *Config) {
		cfg.Params.Limits.ClientQueueBytes = 1000
		cfg.PushBack = 10 * time.Second
	})
	a, other := w.start(1, 1), w.start(2, 1)
	c, slow := a.connect(), other.connect()
	slow.change(func() { slow.room = 0 })
	const n = 40
	for i := range n {
		c.say(`{"entity":"client","entity_id":%d,"message":{"n":%d,"pad":"%0200d"},"id":%d}`, uint64(slow.id), i, 0, i)
	}
	pollPaused(t, a)
	b := w.replace(a, 2)
	slow.open()
	l := newLedger()
	for _, m := range slow.until(t, n) {
		l.enter(t, m)
	}
	if l.direct != n {
		t.Errorf("%d messages arrived, %d were sent", l.direct, n)
	}
	l = newLedger()
	for _, m := range c.until(t, n) {
		l.enter(t, m)
	}
	if len(l.failed) != 0 || len(l.byID) != n {
		t.Errorf("%d answers, failed %v", len(l.byID), l.failed)
	}
	_, in, _, _, _ := a.page.Counts()
	_, more, _, _, _ := b.page.Counts()
	if in+more != n {
		t.Errorf("%d and %d messages were counted, want %d together", in, more, n)
	}
	a.finish()
}

// pollPaused waits until a client elsewhere has paused the process.
func pollPaused(t *testing.T, p *process) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); p.pauses.count.Load() == 0; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("nobody paused")
		}
	}
}

// Who is held back for a client with a full queue goes on when its next process has
// written that.
func TestMovePausing(t *testing.T) {
	w := newWorld(t, func(cfg *Config) {
		cfg.Params.Limits.ClientQueueBytes = 1000
		cfg.PushBack = 10 * time.Second
	})
	a, other := w.start(1, 1), w.start(2, 1)
	slow, d := a.connect(), other.connect()
	slow.change(func() { slow.room = 0 })
	const n = 40
	for i := range n {
		d.say(`{"entity":"client","entity_id":%d,"message":{"n":%d,"pad":"%0200d"},"id":%d}`, uint64(slow.id), i, 0, i)
	}
	pollPaused(t, other)
	w.replace(a, 2)
	begun := time.Now()
	slow.open()
	l := newLedger()
	for _, m := range append(d.until(t, n), slow.until(t, n)...) {
		l.enter(t, m)
	}
	if l.direct != n || len(l.failed) != 0 || len(l.byID) != n {
		t.Errorf("%d of %d messages arrived, %d answers, failed %v", l.direct, n, len(l.byID), l.failed)
	}
	if took := time.Since(begun); took > pauseExpires {
		t.Errorf("the sender was held back for %v", took)
	}
	a.finish()
}

// Handler calls of one sender are in order over a move: the new process waits for the
// last one of the old.
func TestMoveHoldsCalls(t *testing.T) {
	begun, end := make(chan string, 10), make(chan struct{})
	w := newWorld(t, func(cfg *Config) {
		if cfg.Identity.ProcessID != 1 {
			return
		}
		generation := cfg.Identity.Generation
		cfg.Handler = func(_ context.Context, m *shared.Message) (any, error) {
			begun <- fmt.Sprint(generation, string(m.Value))
			if generation == 1 {
				<-end
			}
			return nil, nil
		}
	})
	a, other := w.start(1, 1), w.start(2, 1)
	d, e := other.connect(), other.connect()
	d.say(`{"entity":"service","entity_id":%d,"process_id":1,"message":1,"id":1}`, serviceID)
	if got := <-begun; got != "11" {
		t.Errorf("call %q", got)
	}
	w.replace(a, 2)
	d.say(`{"entity":"service","entity_id":%d,"process_id":1,"message":2,"id":2}`, serviceID)
	e.say(`{"entity":"service","entity_id":%d,"process_id":1,"message":3,"id":3}`, serviceID)
	if got := <-begun; got != "23" {
		t.Errorf("call %q, want that of a sender who has none in the old process", got)
	}
	close(end)
	if got := <-begun; got != "22" {
		t.Errorf("call %q", got)
	}
	d.until(t, 2)
	a.finish()
}
