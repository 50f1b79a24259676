package main

import (
	"context"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
	"github.com/hashicorp/go-hclog"

	"github.com/antano/antano/manager"
)

// statusInterval is how often systemd is told a new status line.
const statusInterval = 5 * time.Second

// notifier tells systemd, or whoever made the socket in $NOTIFY_SOCKET, how the server
// is. Its methods do nothing without one. Source: docs/operating.md "systemd".
type notifier struct {
	send   func(state string) error // nil: nobody wants to know
	log    hclog.Logger
	states chan string
	every  time.Duration // between two signs of life; 0: none are wanted
	around sync.WaitGroup
	end    context.CancelFunc
	status string // that was sent last; of the goroutine
}

// newNotifier reads the environment, which it leaves to a binary that replaces this one.
func newNotifier(log hclog.Logger) *notifier {
	n := &notifier{log: log, states: make(chan string, 16)}
	if os.Getenv("NOTIFY_SOCKET") == "" {
		return n
	}
	n.send = func(state string) error {
		_, err := daemon.SdNotify(false, state)
		return err
	}
	limit, err := daemon.SdWatchdogEnabled(false)
	if err != nil {
		log.Warn("the watchdog is not used", "err", err)
	}
	n.every = limit / 2
	return n
}

// onState is Config.OnState. It never blocks: a reload that nobody is told of is none
// that matters.
func (n *notifier) onState(state string) {
	if n.send == nil {
		return
	}
	select {
	case n.states <- state:
	default:
	}
}

// run tells how the server is until close.
func (n *notifier) run(server *manager.Server) {
	ctx, end := context.WithCancel(context.Background())
	n.end = end
	if n.send == nil {
		return
	}
	ready := make(chan struct{})
	n.around.Go(func() { n.tellStates(ctx, server, ready) })
	if n.every > 0 {
		n.around.Go(func() { n.watch(ctx, server.Alive, ready) })
	}
}

// close ends what run began and, when the server failed, says why.
func (n *notifier) close(err error) {
	n.end()
	n.around.Wait()
	if n.send != nil && err != nil {
		n.tell("STATUS=" + oneLine(err.Error()))
	}
}

// tellStates closes ready when the server is.
func (n *notifier) tellStates(ctx context.Context, server *manager.Server, ready chan struct{}) {
	ticks := time.NewTicker(statusInterval)
	defer ticks.Stop()
	up := false
	for {
		select {
		case <-ctx.Done():
			return
		case state := <-n.states:
			n.status = summary(server.Status())
			n.tell(stateMessage(state, n.status))
			if state == "ready" && !up {
				up = true
				close(ready)
			}
		case <-ticks.C:
			if now := summary(server.Status()); up && now != n.status {
				n.status = now
				n.tell("STATUS=" + now)
			}
		}
	}
}

// stateMessage is what systemd understands of a state.
func stateMessage(state, status string) string {
	lines := []string{"STATUS=" + status}
	switch state {
	case "ready":
		lines = append(lines, daemon.SdNotifyReady)
	case "reloading":
		lines = append(lines, daemon.SdNotifyReloading, daemon.SdNotifyMonotonicUsec())
	case "draining":
		lines = append(lines, daemon.SdNotifyStopping)
	}
	return strings.TrimSpace(strings.Join(lines, "\n"))
}

// watch gives a sign of life as long as alive does, so that a manager whose loops hang is
// ended and replaced.
func (n *notifier) watch(ctx context.Context, alive func(context.Context) error, ready <-chan struct{}) {
	select {
	case <-ready: // until then, the time to start is what systemd looks at
	case <-ctx.Done():
		return
	}
	ticks := time.NewTicker(n.every)
	defer ticks.Stop()
	for {
		within, cancel := context.WithTimeout(ctx, n.every)
		err := alive(within)
		cancel()
		if err == nil {
			n.tell(daemon.SdNotifyWatchdog)
		} else if ctx.Err() == nil {
			n.log.Error("no sign of life for the watchdog", "err", err)
		}
		select {
		case <-ticks.C:
		case <-ctx.Done():
			return
		}
	}
}

func (n *notifier) tell(message string) {
	if err := n.send(message); err != nil {
		n.log.Warn("tell systemd", "err", err)
	}
}

// summary is the server on one line.
func summary(st manager.Status) string {
	ready, all := 0, 0
	var clients uint64
	var bad []string
	for _, s := range st.Services {
		ready, all = ready+s.Ready(), all+len(s.Processes)
		for _, p := range s.Processes {
			clients += p.Clients
		}
		if s.State != "ready" {
			bad = append(bad, s.Name+" is "+s.State)
		}
	}
	text := fmt.Sprintf("%s: %d services, %d of %d processes ready, %d clients", st.State, len(st.Services), ready, all, clients)
	if len(bad) > 0 {
		text += "; " + strings.Join(bad, ", ")
	}
	return text
}

func oneLine(text string) string { return strings.Join(strings.Fields(text), " ") }
