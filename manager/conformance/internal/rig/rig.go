package rig

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/antano/antano/manager/conformance/internal/client"
	"github.com/antano/antano/manager/conformance/internal/script"
	"github.com/antano/antano/manager/internal/launch"
	"github.com/antano/antano/manager/internal/listener"
	"github.com/antano/antano/shared"
)

// What processes are told.
const (
	ServerID  = 7
	ProcessID = 3
	Window    = 1 << 20
	Sequences = 4096
	pushBack  = time.Second
	handler   = 30 * time.Second
)

// Plugin is what is run.
type Plugin struct {
	Path        string
	Binary      *os.File
	Description shared.Description
	Params      shared.ServiceParams // with port 0, and without an endpoint of Unix sockets
	Client      string               // command of the author, instead of clients of ours
	Timeout     time.Duration        // of a start
}

// Rig is where processes of one plugin run.
type Rig struct {
	Plugin
	Manager *script.Manager
	Page    *listener.Page
	dir     string
	group   *listener.Group // nil without sockets

	mu    sync.Mutex
	procs []*Process
}

// New makes a rig for a plugin, with its sockets. change, which may be nil, changes the params.
func New(p Plugin, change func(*shared.ServiceParams)) (r *Rig, err error) {
	dir, err := scratch()
	if err != nil {
		return nil, err
	}
	r = &Rig{Plugin: p, dir: dir}
	defer func() {
		if err != nil {
			err = errors.Join(err, r.Close())
		}
	}()
	if change != nil {
		change(&r.Params)
	}
	if r.Manager, err = script.Listen(filepath.Join(dir, "relay.sock")); err != nil {
		return nil, err
	}
	if r.Page, err = listener.NewPage(); err != nil {
		return nil, err
	}
	r.Page.Use(rows)
	return r, r.bind()
}

// rows are those of two generations of one process.
const rows = 2

// scratch makes a directory whose path leaves room for sockets.
func scratch() (string, error) {
	base := os.TempDir()
	if len(base) > 40 {
		base = "/tmp"
	}
	dir, err := os.MkdirTemp(base, "ac")
	if err != nil {
		return "", fmt.Errorf("make a directory for a plugin; set TMPDIR to a writable one: %w", err)
	}
	return dir, nil
}

func (r *Rig) bind() (err error) {
	switch t := r.Description.Transport; t {
	case shared.TransportTCP, shared.TransportUDP:
		if r.group, err = listener.Bind(0, "127.0.0.1", string(t), r.Params.Backlog); err == nil {
			err = r.bound()
		}
	case shared.TransportUnix:
		r.Params.Endpoint = filepath.Join(r.dir, "service.sock")
		r.group, err = listener.BindUnixSocket(r.Params.Endpoint, 0o600, r.Params.SocketType, r.Params.Backlog)
	}
	return err
}

// bound tells the params which port the kernel chose.
func (r *Rig) bound() (err error) {
	address := r.group.Address()
	r.Params.Host = "127.0.0.1"
	r.Params.Port, err = strconv.Atoi(address[len("127.0.0.1:"):])
	return err
}

// Close kills what runs and removes what was made.
func (r *Rig) Close() (err error) {
	r.mu.Lock()
	procs := r.procs
	r.procs = nil
	r.mu.Unlock()
	for _, p := range procs {
		err = errors.Join(err, p.close())
	}
	if r.group != nil {
		r.group.Close()
	}
	if r.Manager != nil {
		r.Manager.Close()
	}
	if r.Page != nil {
		r.Page.Close()
	}
	return errors.Join(err, os.RemoveAll(r.dir))
}

// Network is how clients dial; empty without sockets.
func (r *Rig) Network() string {
	switch r.Description.Transport {
	case shared.TransportTCP, shared.TransportUDP:
		return string(r.Description.Transport)
	case shared.TransportUnix:
		return map[string]string{shared.SocketStream: "unix", shared.SocketSeqpacket: "unixpacket", shared.SocketDgram: "unixgram"}[r.Params.SocketType]
	}
	return ""
}

// Datagram reports whether clients are sources of datagrams.
func (r *Rig) Datagram() bool { return r.Network() == "udp" || r.Network() == "unixgram" }

// Slots are those that the service has.
func (r *Rig) Slots() uint64 {
	switch r.Network() {
	case "udp":
		return ^uint64(0)
	case "unixgram":
		return 1
	}
	return 0
}

// Connect opens a client that reads nothing yet.
func (r *Rig) Connect(ctx context.Context) (*client.Client, error) {
	c := client.Config{Params: r.Params, Network: r.Network(), Dir: r.dir, Command: r.Client}
	if r.group != nil {
		c.Address = r.group.Address()
	}
	return c.Dial(ctx)
}

// files are what every process inherits but the lifeline.
func (r *Rig) files() (files []launch.File) {
	if r.group != nil {
		for _, s := range r.group.Sockets() {
			files = append(files, launch.File{Name: s.Name, FD: s.FD})
		}
	}
	return append(files, launch.File{Name: "share", FD: r.Page.FD()})
}

// SocketsIntact says what a process did to the inherited sockets that it must not:
// they have to be non-blocking, and listen.
func (r *Rig) SocketsIntact() error {
	if r.group == nil {
		return nil
	}
	for _, s := range r.group.Sockets() {
		flags, err := unix.FcntlInt(uintptr(s.FD), unix.F_GETFL, 0)
		if err != nil {
			return err
		}
		if flags&unix.O_NONBLOCK == 0 {
			return fmt.Errorf("the inherited socket %s blocks: O_NONBLOCK belongs to the open description, which its siblings share; leave it set", s.Name)
		}
		if listens, err := unix.GetsockoptInt(s.FD, unix.SOL_SOCKET, unix.SO_ACCEPTCONN); err == nil && listens == 0 && !r.Datagram() {
			return fmt.Errorf("the inherited socket %s does not listen any more: shutdown ends it for everybody; close it instead", s.Name)
		}
	}
	return nil
}
