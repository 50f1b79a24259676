package plugintest

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/antano/antano/plugin"
	"github.com/antano/antano/plugin/internal/about"
	"github.com/antano/antano/plugin/internal/peer"
	"github.com/antano/antano/plugin/internal/serve"
	"github.com/antano/antano/plugin/internal/share"
	"github.com/antano/antano/shared"
)

const (
	serverID    = 1
	ownProcess  = 1 // of the service under test
	peerProcess = 2 // of the peers
	peerService = 1 << 30
	patience    = 10 * time.Second // for one step of the harness
)

// Harness is a running service.
type Harness struct {
	t       testing.TB
	service plugin.Service
	manager *peer.Manager
	dir     string
	process *serve.Process
	host    atomic.Pointer[plugin.Host]
	sockets *sockets
	params  shared.ServiceParams
	pageFD  int
	pages   [2]*share.Page // the rows that processes use in turn
	peers   *peers
	stopped bool

	generation int
}

// Start runs s as the only process of a service with params. What params leave empty
// gets the defaults of a params file; id 2, the name and the type of the description
// among them. Sockets are opened as Description.Transport says, at 127.0.0.1 and a port
// of the kernel's choice, or in a temporary directory.
func Start(t testing.TB, s plugin.Service, params shared.ServiceParams) *Harness {
	t.Helper()
	d := about.Complete(s.Describe())
	check(t, "describe the service", about.Check(d))
	params = withDefaults(params, d)
	dir, err := os.MkdirTemp("", "antano") // t.TempDir is too long for a socket
	check(t, "make a directory for sockets", err)
	h := &Harness{t: t, service: s, dir: dir}
	t.Cleanup(func() { os.RemoveAll(dir) })
	h.manager, err = peer.Listen(filepath.Join(dir, "relay.sock"), serverID)
	check(t, "start the manager", err)
	t.Cleanup(h.manager.Close)
	h.sockets, err = openSockets(d.Transport, &params, dir)
	check(t, "open the sockets", err)
	t.Cleanup(h.sockets.close)
	h.params = params
	h.openPage()
	h.process = h.start(s)
	t.Cleanup(h.Stop)
	h.assignSlots()
	return h
}

// start starts a process: the only one, or the next to the one there is.
func (h *Harness) start(s plugin.Service) *serve.Process {
	h.t.Helper()
	h.generation++
	start := h.manager.Start(h.params, ownProcess)
	start.Identity.Generation = h.generation
	start.ShareRow, start.ShareRows = h.generation%len(h.pages), len(h.pages)
	inherited := serve.Inherited{Sockets: h.sockets.list, Share: h.pageFD, Lifeline: -1}
	p := serve.New(h.adapt(s), inherited, slog.New(slog.NewTextHandler(h.t.Output(), nil)))
	check(h.t, "start the service", p.Start(h.context(), start))
	return p
}

func (h *Harness) assignSlots() {
	h.t.Helper()
	if slots := h.sockets.slots(); slots != 0 {
		check(h.t, "assign slots", h.manager.AssignSlots(h.context(), ownProcess, slots))
	}
}

// Replace starts next, a service of the same kind that was not started before, beside
// the one there is, moves all clients to it, and drains and stops that. It returns when next
// serves alone. Clients stay connected if both are a plugin.Handover.
func (h *Harness) Replace(next plugin.Service) {
	h.t.Helper()
	old := h.process
	h.process = h.start(next)
	h.service = next
	check(h.t, "move the clients", h.manager.Replace(h.context(), ownProcess))
	h.assignSlots()
	if n, err := old.Drain(h.context()); err != nil || n != 0 {
		h.t.Errorf("plugintest: drain the replaced service: %d clients were not done, %v", n, err)
	}
	check(h.t, "stop the replaced service", old.Stop(h.context()))
}

func check(t testing.TB, what string, err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("plugintest: %s: %v", what, err)
	}
}

// context ends with the harness's patience.
func (h *Harness) context() context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	h.t.Cleanup(cancel)
	return ctx
}

// openPage makes a shared page, mapped here as the manager's and to be mapped again.
func (h *Harness) openPage() {
	fd, err := unix.MemfdCreate("share", unix.MFD_CLOEXEC)
	check(h.t, "make the share page", err)
	h.t.Cleanup(func() { unix.Close(fd) })
	check(h.t, "size the share page", unix.Ftruncate(fd, int64(len(h.pages)*share.RowSize)))
	h.pageFD = fd
	for i := range h.pages {
		h.pages[i], err = share.Open(fd, i, len(h.pages))
		check(h.t, "map the share page", err)
		h.t.Cleanup(func() { h.pages[i].Close() })
	}
}

// Host is what the service was started with.
func (h *Harness) Host() plugin.Host { return *h.host.Load() }

// Address is where the service listens: host:port, or the path of a Unix socket.
func (h *Harness) Address() string { return h.sockets.address }

// Clients returns how many clients the service has.
func (h *Harness) Clients() int { return len(h.process.Clients()) }

// Drops returns how many messages were dropped for code.
func (h *Harness) Drops(code shared.Code) int {
	return int(h.pages[0].Drops(code) + h.pages[1].Drops(code))
}

// Metric returns what the service has made of a metric with Count or Gauge; 0 for one that
// it has not.
func (h *Harness) Metric(name string) int64 { return h.process.Metric(name) }

// Health asks the service over the relay link how it is: "" is well.
func (h *Harness) Health() string {
	h.t.Helper()
	failing, err := h.manager.Health(h.context(), ownProcess)
	check(h.t, "ask for health", err)
	return failing
}

// AssignSlots makes the service read exactly these slots, and returns when it does.
func (h *Harness) AssignSlots(slots uint64) {
	h.t.Helper()
	check(h.t, "assign slots", h.manager.AssignSlots(h.context(), ownProcess, slots))
}

// Drain makes the service take no new clients and ends those it has once nothing is
// owed to them. It returns how many were not done when ctx ended.
func (h *Harness) Drain(ctx context.Context) (unfinished int) {
	h.t.Helper()
	n, err := h.process.Drain(ctx)
	check(h.t, "drain", err)
	return n
}

// Stop stops the service; the end of the test does, too.
func (h *Harness) Stop() {
	h.t.Helper()
	if h.stopped {
		return
	}
	h.stopped = true
	if err := h.process.Stop(h.context()); err != nil {
		h.t.Errorf("plugintest: stop the service: %v", err)
	}
}

// withDefaults fills in what a row of a params file would have.
func withDefaults(p shared.ServiceParams, d shared.Description) shared.ServiceParams {
	if p.ID == 0 {
		p.ID = 2
	}
	if p.AntanoServerID == 0 {
		p.AntanoServerID = serverID
	}
	if p.ServiceType == "" {
		p.ServiceType = d.ServiceType
	}
	if p.Name == "" {
		p.Name = d.ServiceType
	}
	if p.MessageFormatIn == 0 {
		p.MessageFormatIn = shared.FormatJSON
	}
	if p.MessageFormatOut == 0 {
		p.MessageFormatOut = shared.FormatJSON
	}
	if p.Processes == 0 {
		p.Processes = 1
	}
	if d.Transport == shared.TransportUnix && p.SocketType == "" {
		p.SocketType = shared.SocketDgram
	}
	if stream := d.Transport == shared.TransportTCP || p.SocketType == shared.SocketStream; stream {
		if p.FramingIn == "" {
			p.FramingIn = shared.DefaultFraming(p.MessageFormatIn)
		}
		if p.FramingOut == "" {
			p.FramingOut = shared.DefaultFraming(p.MessageFormatOut)
		}
	}
	p.Limits = limitsWithDefaults(p.Limits)
	return p
}

func limitsWithDefaults(l shared.Limits) shared.Limits {
	d := shared.DefaultLimits()
	for _, v := range []struct{ given, usual *int }{
		{&l.MaxMessageBytes, &d.MaxMessageBytes}, {&l.MaxClients, &d.MaxClients},
		{&l.ClientQueueBytes, &d.ClientQueueBytes}, {&l.ProcessQueueBytes, &d.ProcessQueueBytes},
	} {
		if *v.given == 0 {
			*v.given = *v.usual
		}
	}
	return l
}
