package peer

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"

	"github.com/antano/antano/shared/wire"
)

// link is one process's link.
type link struct {
	conn    *net.UnixConn
	reader  *wire.Reader
	queue   *wire.Queue
	process uint16

	generation uint32

	health chan string // answers
	slots  chan uint64 // confirmations
	held   chan wire.Hold

	ready, aborted chan uint64 // moves
}

// firstFrame reads one frame and nothing behind it: descriptors may come with that.
func firstFrame(conn *net.UnixConn) (wire.Frame, error) {
	b := make([]byte, wire.HeaderSize)
	if _, err := io.ReadFull(conn, b); err != nil {
		return wire.Frame{}, err
	}
	n := int(binary.BigEndian.Uint32(b)) + 4 - wire.HeaderSize
	if n < 0 || n > wire.TransferSize {
		return wire.Frame{}, fmt.Errorf("%w: first frame of %d bytes", wire.ErrFrame, n)
	}
	b = append(b, make([]byte, n)...)
	if _, err := io.ReadFull(conn, b[wire.HeaderSize:]); err != nil {
		return wire.Frame{}, err
	}
	f, _, _, err := wire.Next(b)
	return f, err
}

func (m *Manager) serve(conn *net.UnixConn) {
	first, err := firstFrame(conn)
	if err != nil {
		return
	}
	if first.Type == wire.TypeTransfer {
		m.transfer(conn, first.Body)
		return
	}
	sink, err := wire.NewSink(conn)
	if err != nil {
		return
	}
	l := &link{
		conn: conn, reader: wire.NewReader(conn), queue: wire.NewQueue(sink, queueBytes, nil),
		ready: make(chan uint64, 16), aborted: make(chan uint64, 16),
		health: make(chan string, 16), slots: make(chan uint64, 16), held: make(chan wire.Hold, 16),
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	m.wg.Go(func() { l.queue.Run(ctx) })
	if !m.welcome(l, first) {
		return
	}
	defer m.forget(l)
	l.queue.Flush()
	for {
		f, err := l.reader.Next()
		if err != nil || m.take(l, f) != nil {
			return
		}
		if l.reader.Dry() {
			m.flush()
		}
	}
}

func (l *link) control(encode func([]byte) []byte) { l.queue.PutControl(encode) }

func (m *Manager) flush() {
	m.mu.Lock()
	queues := make([]*wire.Queue, 0, len(m.all))
	for l := range m.all {
		queues = append(queues, l.queue)
	}
	m.mu.Unlock()
	for _, q := range queues {
		q.Flush()
	}
}

// Wait returns once the process's link is up, or down.
func (m *Manager) Wait(ctx context.Context, process uint16, up bool) error {
	for {
		m.mu.Lock()
		_, is := m.links[process]
		changed := m.up
		m.mu.Unlock()
		if is == up {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("wait for the link of process %d: %w", process, ctx.Err())
		}
	}
}

func (m *Manager) link(process uint16) (*link, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if l := m.links[process]; l != nil {
		return l, nil
	}
	return nil, fmt.Errorf("process %d has no link", process)
}

// Health asks a process how it is; "" is well.
func (m *Manager) Health(ctx context.Context, process uint16) (string, error) {
	l, err := m.link(process)
	if err != nil {
		return "", err
	}
	l.control(func(dst []byte) []byte { return wire.AppendHealth(dst, 1) })
	l.queue.Flush()
	return receive(ctx, l.health, "health")
}

// AssignSlots tells a process which slots to read, and waits until it does.
func (m *Manager) AssignSlots(ctx context.Context, process uint16, slots uint64) error {
	l, err := m.link(process)
	if err != nil {
		return err
	}
	l.control(func(dst []byte) []byte { return wire.AppendSlots(dst, wire.TypeSlots, slots) })
	l.queue.Flush()
	for {
		got, err := receive(ctx, l.slots, "slots")
		if err != nil || got == slots {
			return err
		}
	}
}

// Hold tells a process what not to send, and waits until it does not.
func (m *Manager) Hold(ctx context.Context, process uint16, mode wire.Hold) error {
	l, err := m.link(process)
	if err != nil {
		return err
	}
	l.control(func(dst []byte) []byte { return wire.AppendHold(dst, wire.TypeHold, mode) })
	l.queue.Flush()
	_, err = receive(ctx, l.held, "held")
	return err
}

func receive[T any](ctx context.Context, ch <-chan T, what string) (v T, err error) {
	select {
	case v = <-ch:
		return v, nil
	case <-ctx.Done():
		return v, fmt.Errorf("wait for %s: %w", what, ctx.Err())
	}
}
