package hub

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/antano/antano/plugin/internal/link"
	peers "github.com/antano/antano/plugin/internal/peer"
	"github.com/antano/antano/plugin/internal/share"
	"github.com/antano/antano/plugin/internal/transfer"
	"github.com/antano/antano/shared"
	"github.com/antano/antano/shared/wire"
)

// world is a manager with processes on real links, and the connections of clients,
// which outlive their processes.
type world struct {
	t       *testing.T
	manager *peers.Manager
	path    string
	change  func(*Config)

	mu    sync.Mutex
	conns []*conn
}

func newWorld(t *testing.T, change func(*Config)) *world {
	t.Helper()
	dir, err := os.MkdirTemp("", "hub")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	w := &world{t: t, path: filepath.Join(dir, "relay.sock"), change: change}
	if w.manager, err = peers.Listen(w.path, serverID); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.manager.Close)
	return w
}

func (w *world) context() context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	w.t.Cleanup(cancel)
	return ctx
}

// process is one process of the world.
type process struct {
	*Hub
	t         *testing.T
	link      *link.Link
	transport *transport
	page      *share.Page
}

// start starts a process; a second generation waits for a move.
func (w *world) start(id uint16, generation uint32) *process {
	w.t.Helper()
	w.manager.Serves(serviceID, id)
	hello := wire.Hello{Version: shared.ProtocolVersion, Process: id, Generation: generation, Secret: w.manager.Secret}
	l, err := link.Dial(w.context(), link.Config{Socket: w.path, Hello: hello, QueueBytes: 64 << 20})
	if err != nil {
		w.t.Fatal(err)
	}
	p := &process{t: w.t, link: l, page: share.New(0, 1), transport: &transport{world: w, lines: map[*Client]*attachment{}}}
	cfg := Config{
		Identity: shared.Identity{ServerID: serverID, ServiceID: serviceID, ProcessID: int(id), Generation: int(generation), Service: "chat"},
		Params: shared.ServiceParams{
			ID: serviceID, Name: "chat", MessageFormatIn: shared.FormatJSON, MessageFormatOut: shared.FormatJSON,
			Limits: shared.DefaultLimits(),
		},
		PushBack: time.Second, Window: int(l.Welcome().Window), Relay: l, Page: p.page,
		Log: slog.New(slog.NewTextHandler(w.t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug})), Transport: p.transport,
		Dial: func(ctx context.Context, move uint64) (*transfer.Conn, error) {
			return transfer.Dial(ctx, w.path, wire.Transfer{Hello: hello, Move: move})
		},
	}
	if w.change != nil {
		w.change(&cfg)
	}
	p.Hub = New(cfg)
	p.transport.endpoint, err = p.NewEndpoint(EndpointConfig{Frame: line})
	if err != nil {
		w.t.Fatal(err)
	}
	l.Run(p.Hub)
	w.t.Cleanup(p.stop)
	return p
}

// stop ends a process as a crash or the end of the test does.
func (p *process) stop() {
	p.link.Close()
	if err := p.Hub.Close(context.Background()); err != nil {
		p.t.Error(err)
	}
	p.transport.wait()
	if n := p.queued.Load(); n != 0 {
		p.t.Errorf("%d bytes are still counted as queued", n)
	}
	if n := p.items.Load(); n != 0 {
		p.t.Errorf("%d messages are still counted as queued", n)
	}
	if clients, _, _, _, _ := p.page.Counts(); clients != 0 {
		p.t.Errorf("%d clients are still counted", clients)
	}
	if n := p.moves.len(); n != 0 {
		p.t.Errorf("%d moves are left", n)
	}
}

// finish drains a process that has handed over its clients, and stops it.
func (p *process) finish() {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if n := p.Drain(ctx); n != 0 {
		p.t.Errorf("%d clients were left", n)
	}
	if ctx.Err() != nil {
		p.t.Error("the drain took its whole time")
	}
}

// conn is a client's connection: what it sends waits in the queue until some process
// reads it.
type conn struct {
	*sink
	key   int
	in    chan string
	id    shared.ClientID
	owner sync.Mutex    // of who reads
	news  chan struct{} // something was written
}

// transport is a service's part of the handover: the state of a client is the key of
// its connection and a message that was not taken.
type transport struct {
	world    *world
	endpoint *Endpoint
	fail     error // of MoveIn
	failOut  error

	mu    sync.Mutex
	lines map[*Client]*attachment
	out   []*attachment
}

// attachment is a connection as one process has it.
type attachment struct {
	*conn
	client      *Client
	interrupted chan struct{}
	closed      chan struct{}
	once, twice sync.Once
	stop, done  chan struct{}
	parked      string
}

func (l *attachment) Interrupt() { l.twice.Do(func() { close(l.interrupted) }) }

func (l *attachment) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

func (l *attachment) Write(messages [][]byte, wait bool) (n int, err error) {
	left := slices.Concat(messages...)
	for {
		l.sink.mu.Lock()
		changed := l.sink.changed
		l.sink.mu.Unlock()
		k, err := l.sink.Write(split(left, messages, n), false)
		if n, left = n+k, left[k:]; k > 0 {
			select {
			case l.news <- struct{}{}:
			default:
			}
		}
		if err != ErrWouldBlock || !wait {
			return n, err
		}
		select {
		case <-changed:
		case <-l.interrupted:
			return n, ErrWouldBlock
		case <-l.closed:
			return n, errors.New("closed")
		}
	}
}

// split cuts what is left after n bytes into messages again.
func split(left []byte, messages [][]byte, n int) (rest [][]byte) {
	for _, m := range messages {
		if n >= len(m) {
			n -= len(m)
			continue
		}
		k := len(m) - n
		rest, left, n = append(rest, left[:k]), left[k:], 0
	}
	return rest
}

// connect makes a client of a new connection.
func (p *process) connect() *conn {
	p.t.Helper()
	c := &conn{sink: &sink{room: -1, changed: make(chan struct{})}, in: make(chan string, 1<<14), news: make(chan struct{}, 1)}
	w := p.transport.world
	w.mu.Lock()
	c.key = len(w.conns)
	w.conns = append(w.conns, c)
	w.mu.Unlock()
	l := newLine(c)
	client, err := p.transport.endpoint.Connect("conn", l)
	if err != nil {
		p.t.Fatal(err)
	}
	c.id = client.ID()
	p.transport.add(l, client)
	go l.run()
	return c
}

func newLine(c *conn) *attachment {
	return &attachment{conn: c, interrupted: make(chan struct{}), closed: make(chan struct{}), stop: make(chan struct{}), done: make(chan struct{})}
}

func (t *transport) add(l *attachment, c *Client) {
	t.mu.Lock()
	defer t.mu.Unlock()
	l.client = c
	t.lines[c] = l
}

// run reads until the client is closed or moves.
func (l *attachment) run() {
	defer close(l.done)
	l.owner.Lock()
	defer l.owner.Unlock()
	for {
		message := l.parked
		if message == "" {
			select {
			case message = <-l.in:
			case <-l.stop:
				return
			case <-l.closed:
				return
			}
		}
		err := l.client.Receive([]byte(message))
		if l.parked = ""; err == ErrMoved {
			l.parked = message
			return
		}
		if err != nil {
			return
		}
		l.client.Flush()
	}
}

func (t *transport) MoveOut(ctx context.Context, slots uint64, give func(*Client, []byte, int) error) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.failOut != nil {
		return t.failOut
	}
	for _, l := range t.lines {
		close(l.stop)
	}
	for c, l := range t.lines {
		<-l.done
		state := binary.BigEndian.AppendUint32(nil, uint32(l.key))
		if err := give(c, append(state, l.parked...), -1); err != nil {
			t.world.t.Logf("stays: %v", err)
		}
		t.out = append(t.out, l)
	}
	return nil
}

func (t *transport) MoveBack() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, l := range t.out {
		l.stop, l.done = make(chan struct{}), make(chan struct{})
		go l.run()
	}
	t.out = nil
}

func (t *transport) MoveIn(state []byte, fd int, attach func(*Endpoint, string, Writer) (*Client, error)) (func(), error) {
	if t.fail != nil {
		return nil, t.fail
	}
	t.world.mu.Lock()
	l := newLine(t.world.conns[binary.BigEndian.Uint32(state)])
	t.world.mu.Unlock()
	l.parked = string(state[4:])
	c, err := attach(t.endpoint, "conn", l)
	if err != nil {
		return nil, err
	}
	t.add(l, c)
	var once sync.Once
	go func() { // who never resumes reads nothing, which would be another's
		<-l.closed
		once.Do(func() { close(l.done) })
	}()
	return func() { once.Do(func() { go l.run() }) }, nil
}

// wait returns when nothing reads any more.
func (t *transport) wait() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, l := range t.lines {
		l.Close()
		<-l.done
	}
}

// say sends a message as the client.
func (c *conn) say(format string, args ...any) { c.in <- fmt.Sprintf(format, args...) }

// until waits for n messages, and returns all that came.
func (c *conn) until(t *testing.T, n int) []string {
	t.Helper()
	deadline := time.NewTimer(15 * time.Second)
	defer deadline.Stop()
	var got []string
	for {
		if got = append(got, c.take()...); len(got) >= n {
			return got
		}
		select {
		case <-c.news:
		case <-deadline.C:
			t.Fatalf("client got %d messages of %d: %q", len(got), n, got)
		}
	}
}
