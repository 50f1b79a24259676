package manager

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/antano/antano/manager/internal/control"
	"github.com/antano/antano/manager/internal/launch"
	"github.com/antano/antano/manager/internal/runtimedir"
)

// Control talks to a running server through its control socket. Safe for concurrent
// use.
type Control struct {
	dir    string
	client *control.Client
}

// Connect finds the server of a runtime directory. It fails when nobody listens there.
func Connect(dir string) (*Control, error) {
	path := filepath.Join(dir, runtimedir.Control)
	conn, err := net.Dial("unix", path)
	if err != nil {
		return nil, fmt.Errorf("no antano server answers in %s (%w); start one with 'antano run', or name the right one with --runtime-dir or --id", dir, err)
	}
	_ = conn.Close()
	return &Control{dir: dir, client: control.NewClient(path)}, nil
}

// Status asks how the server is.
func (c *Control) Status(ctx context.Context) (Status, error) {
	var s Status
	return s, c.client.Get(ctx, "/v1/status", &s)
}

// Clients lists who is connected to a service, given by id or name.
func (c *Control) Clients(ctx context.Context, service string) ([]ClientStatus, error) {
	var clients []ClientStatus
	return clients, c.client.Get(ctx, "/v1/services/"+url.PathEscape(service)+"/clients", &clients)
}

// DialInternal connects to the internal service: message objects, one JSON a line.
func (c *Control) DialInternal() (net.Conn, error) {
	path := filepath.Join(c.dir, runtimedir.Internal)
	conn, err := net.Dial("unix", path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("the server in %s runs without its internal service; it needs the plugin antano-service-unix", c.dir)
	}
	if err != nil {
		return nil, fmt.Errorf("connect to the internal service of the server in %s: %w", c.dir, err)
	}
	return conn, nil
}

// backend answers the control socket.
type backend struct{ s *Server }

func (b backend) Status() any { return b.s.Status() }

// clientsTime bounds how long the processes of a service may take to list their
// clients, less than a command waits.
const clientsTime = 5 * time.Second

func (b backend) Clients(ctx context.Context, service string) (any, error) {
	svc := b.find(service)
	if svc == nil {
		return nil, fmt.Errorf("service %q %w; 'antano status' lists the services", service, control.ErrNotFound)
	}
	ctx, cancel := context.WithTimeout(ctx, clientsTime)
	defer cancel()
	clients := []ClientStatus{}
	for _, w := range svc.processes() {
		i := w.instance()
		if i == nil {
			continue
		}
		err := i.proc.Clients(ctx, func(c launch.Client) {
			clients = append(clients, ClientStatus{ID: uint64(c.ID), ProcessID: w.id, Address: c.Address, Connected: c.Connected,
				MessagesIn: c.MessagesIn, MessagesOut: c.MessagesOut, QueuedBytes: c.QueuedBytes, Groups: c.Groups})
		})
		if errors.Is(err, launch.ErrExited) {
			continue // its clients went with it
		}
		if err != nil {
			return nil, fmt.Errorf("ask process %s for its clients: %w", w, err)
		}
	}
	return clients, nil
}

// find returns the service with the given id or name.
func (b backend) find(service string) *Service {
	id, err := strconv.ParseInt(service, 10, 64)
	for _, svc := range b.s.snapshot() {
		if svc.plan().Params.Name == service || err == nil && svc.plan().Params.ID == id {
			return svc
		}
	}
	return nil
}
