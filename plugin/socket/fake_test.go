package socket

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/antano/antano/plugin"
	"github.com/antano/antano/shared"
)

// fakeHost echoes: what a client sends comes back to it, framed, when flushed.
type fakeHost struct {
	params  shared.ServiceParams
	id      shared.Identity
	sockets []plugin.Socket
	above   func() bool

	mu      sync.Mutex
	config  plugin.EndpointConfig
	clients map[*fakeClient]struct{}
	drops   map[shared.Code]int
	opened  chan *fakeClient // every client made
	ended   chan *fakeClient // every client closed
	refuse  error
	push    time.Duration
	timeout time.Duration
	receive func(c *fakeClient, p []byte) error // instead of the echo
	ids     atomic.Uint64
}

func newFakeHost(sockets []plugin.Socket) *fakeHost {
	h := &fakeHost{
		sockets: sockets, id: shared.Identity{Generation: 1},
		clients: make(map[*fakeClient]struct{}), drops: make(map[shared.Code]int),
		opened: make(chan *fakeClient, 4096), ended: make(chan *fakeClient, 4096),
		push: 200 * time.Millisecond, timeout: time.Minute,
	}
	h.params = shared.ServiceParams{
		ID: 1, MessageFormatIn: shared.FormatJSON, MessageFormatOut: shared.FormatJSON, Limits: shared.DefaultLimits(),
	}
	return h
}

func (h *fakeHost) Params() shared.ServiceParams  { return h.params }
func (h *fakeHost) Identity() shared.Identity     { return h.id }
func (h *fakeHost) Logger() *slog.Logger          { return slog.New(slog.NewTextHandler(io.Discard, nil)) }
func (h *fakeHost) Sockets() []plugin.Socket      { return h.sockets }
func (h *fakeHost) PushBack() time.Duration       { return h.push }
func (h *fakeHost) HandlerTimeout() time.Duration { return h.timeout }
func (h *fakeHost) AboveShare() bool              { return h.above != nil && h.above() }

func (h *fakeHost) NewEndpoint(c plugin.EndpointConfig) (plugin.Endpoint, error) {
	h.config = c
	return h, nil
}

func (h *fakeHost) PassThroughMessage(_ context.Context, to shared.Address, _ int, _ any) (shared.Receipt, error) {
	return shared.Receipt{Delivered: int(to.ID)}, nil
}

func (h *fakeHost) Go(f func()) bool    { go f(); return true }
func (h *fakeHost) Count(string, int64) {}
func (h *fakeHost) Gauge(string, int64) {}

func (h *fakeHost) CountDrop(code shared.Code, n int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.drops[code] += n
}

func (h *fakeHost) dropped(code shared.Code) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.drops[code]
}

func (h *fakeHost) count() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.clients)
}

func (h *fakeHost) Connect(address string, w plugin.Writer) (plugin.Client, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.refuse != nil {
		return nil, h.refuse
	}
	if len(h.clients) >= h.params.Limits.MaxClients {
		return nil, shared.Errorf(shared.CodeOverloaded, "max_clients (%d) are connected", h.params.Limits.MaxClients)
	}
	c := &fakeClient{host: h, id: shared.ClientID(h.ids.Add(1)), address: address, w: w}
	h.clients[c] = struct{}{}
	h.opened <- c
	return c, nil
}

type fakeClient struct {
	host    *fakeHost
	id      shared.ClientID
	address string
	w       plugin.Writer
	owed    atomic.Int64
	moving  atomic.Bool // Receive and Take say so

	writing sync.Mutex // calls of Write never overlap

	mu       sync.Mutex
	closed   bool
	retired  bool
	taken    int // bytes
	cause    error
	out      [][]byte
	received [][]byte
	rejects  []shared.Code
}

func (c *fakeClient) ID() shared.ClientID { return c.id }
func (c *fakeClient) Owed() bool          { return c.owed.Load() > 0 }
func (c *fakeClient) LastReceived() int64 { return 0 }

func (c *fakeClient) Receive(p []byte) error {
	if c.moving.Load() {
		return plugin.ErrMoved
	}
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return errors.New("closed")
	}
	c.received = append(c.received, append([]byte(nil), p...))
	c.mu.Unlock()
	if c.host.receive != nil {
		return c.host.receive(c, p)
	}
	return c.Send(p)
}

func (c *fakeClient) ReceiveAs(_ shared.FormatID, p []byte) error { return c.Receive(p) }

func (c *fakeClient) Take(size int) (func(), error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.moving.Load():
		return nil, plugin.ErrMoved
	case c.closed:
		return nil, errors.New("closed")
	case c.retired:
		return nil, shared.Errorf(shared.CodeShuttingDown, "retired")
	}
	c.taken += size
	c.owed.Add(1)
	return func() { c.owed.Add(-1) }, nil
}

// Retire leaves a client open to which an answer is owed.
func (c *fakeClient) Retire(cause error) {
	c.mu.Lock()
	c.retired, c.cause = true, cause
	c.mu.Unlock()
	if !c.Owed() {
		c.Close(cause)
	}
}

func (c *fakeClient) Reject(code shared.Code, text string) {
	c.mu.Lock()
	c.rejects = append(c.rejects, code)
	c.mu.Unlock()
	c.Send([]byte(`{"type":"error","code":"` + code.String() + `"}`))
}

// Send frames, and leaves the writing to Flush.
func (c *fakeClient) Send(p []byte) error {
	framed := append([]byte(nil), p...)
	if frame := c.host.config.Frame; frame != nil {
		var err error
		if framed, err = frame(nil, p); err != nil {
			return err
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.out = append(c.out, framed)
	return nil
}

func (c *fakeClient) Flush() {
	c.writing.Lock()
	defer c.writing.Unlock()
	c.mu.Lock()
	out := c.out
	c.out = nil
	c.mu.Unlock()
	if c.w != nil && len(out) > 0 {
		c.w.Write(out, true)
	}
}

func (c *fakeClient) Close(cause error) {
	c.mu.Lock()
	again := c.closed
	c.closed, c.cause = true, cause
	c.mu.Unlock()
	if again {
		return
	}
	c.host.mu.Lock()
	delete(c.host.clients, c)
	c.host.mu.Unlock()
	c.host.ended <- c
}

func (c *fakeClient) all() [][]byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.received
}

const testTime = 10 * time.Second

// next waits for a client to be made or closed.
func next(t *testing.T, from chan *fakeClient) *fakeClient {
	t.Helper()
	select {
	case c := <-from:
		return c
	case <-time.After(testTime):
		t.Fatal("no client event in time")
		return nil
	}
}

// until polls for what happens outside.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(testTime); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not in time: %s", what)
		}
	}
}

// listen opens a socket as the manager would: bound, listening, non-blocking.
func listen(t *testing.T, name string, family, kind int, addr unix.Sockaddr) plugin.Socket {
	t.Helper()
	fd, err := unix.Socket(family, kind|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	if err := unix.Bind(fd, addr); err != nil {
		t.Fatal(err)
	}
	if kind != unix.SOCK_DGRAM {
		if err := unix.Listen(fd, 4096); err != nil {
			t.Fatal(err)
		}
	}
	return plugin.Socket{Name: name, FD: fd}
}

func listenTCP(t *testing.T) (plugin.Socket, string) {
	t.Helper()
	sock := listen(t, "tcp", unix.AF_INET, unix.SOCK_STREAM, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}})
	return sock, boundTo(t, sock)
}

func boundTo(t *testing.T, sock plugin.Socket) string {
	t.Helper()
	sa, err := unix.Getsockname(sock.FD)
	if err != nil {
		t.Fatal(err)
	}
	switch a := sa.(type) {
	case *unix.SockaddrInet4:
		return keyOf(sockaddrIPv4(uint16(a.Port), a.Addr)).String()
	case *unix.SockaddrInet6:
		return keyOf(sockaddrIPv6(uint16(a.Port), a.Addr, a.ZoneId)).String()
	}
	t.Fatalf("bound to %v", sa)
	return ""
}

func listenUnix(t *testing.T, kind int) (plugin.Socket, string) {
	t.Helper()
	dir, err := os.MkdirTemp("", "so")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	path := filepath.Join(dir, "s")
	return listen(t, "unix", unix.AF_UNIX, kind, &unix.SockaddrUnix{Name: path}), path
}

// serve starts a service on h and stops it at the end, checking that all is gone.
func serve(t *testing.T, h *fakeHost, config Config) *SocketService {
	t.Helper()
	config.CanSend = true
	s := New(config)
	if err := s.Start(t.Context(), h); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), testTime)
		defer cancel()
		if err := s.Stop(ctx); err != nil {
			t.Error(err)
		}
		if n := h.count(); n != 0 {
			t.Errorf("%d clients after stop", n)
		}
		if n := s.partial.used.Load(); n != 0 {
			t.Errorf("%d bytes of incomplete messages after stop", n)
		}
	})
	return s
}

func dial(t *testing.T, network, address string) net.Conn {
	t.Helper()
	c, err := net.DialTimeout(network, address, testTime)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(testTime))
	return c
}

// write uses the Writer between flushes.
func (c *fakeClient) write(messages [][]byte, wait bool) (int, error) {
	c.writing.Lock()
	defer c.writing.Unlock()
	return c.w.Write(messages, wait)
}
