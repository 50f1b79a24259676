package serve

import (
	"context"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/antano/antano/plugin/internal/peer"
	"github.com/antano/antano/shared/pluginpb"
)

// orphan is a started child that has the window to find a successor, and whose manager
// goes.
func orphan(t *testing.T, window time.Duration) *child {
	t.Helper()
	return orphanOf(t, "", window, func(*child) {})
}

// orphanOf is an orphan of the given mode, which before does something.
func orphanOf(t *testing.T, mode string, window time.Duration, before func(*child)) *child {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	c := launch(t, mode, []string{"LISTEN_FDS=1", "LISTEN_FDNAMES=lifeline"}, r)
	r.Close()
	c.window = window
	c.mustStart()
	before(c)
	c.manager.Close()
	w.Close()
	return c
}

// A process whose manager goes serves the successor, over whose link it is asked for
// its health, and stops when it says so.
func TestServesOn(t *testing.T) {
	c := orphan(t, time.Minute)
	var err error
	if c.manager, err = peer.Listen(c.manager.Path(), 1); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.manager.Close)
	if err := c.manager.Wait(timeout(t), 1, true); err != nil {
		t.Fatal(err)
	}
	if failing, err := c.manager.Health(timeout(t), 1); failing != "" || err != nil {
		t.Errorf("health %q, %v", failing, err)
	}
	c.stop()
	c.exits(0)
}

// Without a successor it drains and stops once the window is over.
func TestNoSuccessor(t *testing.T) {
	c := orphan(t, 100*time.Millisecond)
	c.exits(1)
	c.says("the manager is gone and has no successor within 100ms")
	c.says("drained")
	c.says("stopped")
}

// One that was drained has nothing to wait for.
func TestDrainedIsNotAdopted(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	c := launch(t, "", []string{"LISTEN_FDS=1", "LISTEN_FDNAMES=lifeline"}, r)
	r.Close()
	c.window = time.Hour
	c.mustStart()
	c.drain()
	w.Close()
	c.exits(1)
	c.says("stopped")
}

// A drain that is under way goes on without its manager, and the successor that asks again
// hears of its end.
func TestDrainsOn(t *testing.T) {
	first, gone := context.WithCancel(t.Context())
	defer gone()
	c := orphanOf(t, "slow drain", time.Minute, func(c *child) {
		go c.client.Drain(first, &pluginpb.DrainRequest{DeadlineNs: int64(time.Minute)})
		c.says("drains")
		gone()
	})
	var err error
	if c.manager, err = peer.Listen(c.manager.Path(), 1); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.manager.Close)
	if err := c.manager.Wait(timeout(t), 1, true); err != nil {
		t.Fatal(err)
	}
	if failing, err := c.manager.Health(timeout(t), 1); failing != "" || err != nil {
		t.Errorf("health %q, %v", failing, err)
	}
	if err := c.cmd.Process.Signal(syscall.SIGUSR1); err != nil {
		t.Fatal(err)
	}
	c.drain()
	c.says("drained")
	c.stop()
	c.exits(0)
}
