package script

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	"github.com/antano/antano/shared/wire"
)

// firstTime is how long a connection may take for its first frame. Source:
// docs/protocol.md "The relay link".
const firstTime = 5 * time.Second

// Manager listens where plugins dial.
type Manager struct {
	listener *net.UnixListener
	arrived  chan *Link
	done     chan struct{}
	closing  sync.Once
	wg       sync.WaitGroup

	mu    sync.Mutex
	links []*Link
	next  uint32 // first sequence that nobody has
}

// Listen opens the relay socket.
func Listen(path string) (*Manager, error) {
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", path, err)
	}
	m := &Manager{listener: l, arrived: make(chan *Link, 64), done: make(chan struct{}), next: 1}
	m.wg.Go(m.accept)
	return m, nil
}

// Path is what plugins dial.
func (m *Manager) Path() string { return m.listener.Addr().String() }

// Close ends every link, refuses new ones and waits for who reads them. It may be
// called again.
func (m *Manager) Close() {
	m.closing.Do(func() {
		close(m.done)
		m.listener.Close()
		m.mu.Lock()
		for _, l := range m.links {
			l.Close()
		}
		m.mu.Unlock()
	})
	m.wg.Wait()
}

// Next returns the next connection whose first frame has come; it is not welcomed.
func (m *Manager) Next(ctx context.Context) (*Link, error) {
	select {
	case l := <-m.arrived:
		return l, nil
	case <-ctx.Done():
		return nil, fmt.Errorf("no relay link was opened at %s: %w", m.Path(), context.Cause(ctx))
	}
}

// Waiting reports whether a connection has come that Next has not returned.
func (m *Manager) Waiting() bool { return len(m.arrived) > 0 }

func (m *Manager) accept() {
	for {
		conn, err := m.listener.AcceptUnix()
		if err != nil {
			return
		}
		l := &Link{manager: m, conn: conn, changed: make(chan struct{}), credit: true, grant: 4096}
		m.mu.Lock()
		m.links = append(m.links, l)
		m.mu.Unlock()
		m.wg.Go(func() { m.serve(l) })
	}
}

func (m *Manager) serve(l *Link) {
	select {
	case <-m.done: // accepted while Close went through the links
		l.Close()
	default:
	}
	_ = l.conn.SetReadDeadline(time.Now().Add(firstTime))
	l.First, l.bad = first(l.conn)
	_ = l.conn.SetReadDeadline(time.Time{})
	select {
	case m.arrived <- l:
	case <-m.done:
		return
	}
	if l.bad != nil {
		l.end(l.bad)
		return
	}
	if l.First.Type != wire.TypeTransfer { // behind which is nothing of ours
		l.read()
	}
}

// first reads one frame and not a byte more: descriptors may come with what follows.
func first(r io.Reader) (wire.Frame, error) {
	b := make([]byte, 4, wire.TransferSize)
	if _, err := io.ReadFull(r, b); err != nil {
		return wire.Frame{}, fmt.Errorf("its first frame did not come: %w", err)
	}
	n := binary.BigEndian.Uint32(b)
	if n < 1 || n > wire.TransferSize-4 {
		return wire.Frame{}, fmt.Errorf("its first frame has length %d, a hello has %d", n, wire.HelloSize-4)
	}
	b = b[:4+n]
	if _, err := io.ReadFull(r, b[4:]); err != nil {
		return wire.Frame{}, fmt.Errorf("its first frame is cut short: %w", err)
	}
	f, _, _, err := wire.Next(b)
	return f, err
}

// sequences are n that nobody else gets.
func (m *Manager) sequences(n uint32) wire.Sequences {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := wire.Sequences{First: m.next, Count: n}
	m.next += n
	return s
}
