package manager

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"

	"github.com/antano/antano/manager/internal/control"
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

// Events gives every event from now on to take, of a service and of a process when
// they are given, until ctx ends, the server stops or take fails. With past it begins
// with the events that the server remembers.
func (c *Control) Events(ctx context.Context, service, process string, past bool, take func(Event) error) error {
	query := filter(service, process)
	if past {
		query.Set("since", "0")
	}
	return stream(ctx, c.client, http.MethodGet, "/v1/events?"+query.Encode(), take)
}

// Logs gives the lines that the server remembers to take, of a service and of a process
// when they are given, and with follow those that come, until ctx ends, the server
// stops or take fails.
func (c *Control) Logs(ctx context.Context, service, process string, follow bool, take func(LogLine) error) error {
	query := filter(service, process)
	if follow {
		query.Set("follow", "1")
	}
	return stream(ctx, c.client, http.MethodGet, "/v1/logs?"+query.Encode(), take)
}

func filter(service, process string) url.Values {
	query := url.Values{}
	for key, value := range map[string]string{"service": service, "process": process} {
		if value != "" {
			query.Set(key, value)
		}
	}
	return query
}

func stream[T any](ctx context.Context, c *control.Client, method, target string, take func(T) error) error {
	return c.Stream(ctx, method, target, func(record json.RawMessage) error {
		var v T
		if err := json.Unmarshal(record, &v); err != nil {
			return fmt.Errorf("read a record of %s: %w", target, err)
		}
		return take(v)
	})
}

// Why explains how the processes of a service came to be as they are, or the one that
// is named.
func (c *Control) Why(ctx context.Context, service, process string) ([]Why, error) {
	var why []Why
	query := ""
	if process != "" {
		query = "?" + filter("", process).Encode()
	}
	return why, c.client.Get(ctx, "/v1/services/"+url.PathEscape(service)+"/why"+query, &why)
}

// Kick ends a client, wherever it is connected, and returns as soon as that is under
// way. It is an error when there is no such client.
func (c *Control) Kick(ctx context.Context, client string) (Kicked, error) {
	var k Kicked
	return k, c.client.Post(ctx, "/v1/clients/"+url.PathEscape(client)+"/kick", &k)
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
