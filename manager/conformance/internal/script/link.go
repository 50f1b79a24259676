package script

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/antano/antano/shared"
	"github.com/antano/antano/shared/wire"
)

// writeTime is how long a plugin may leave its link unread before a write gives up.
const writeTime = 10 * time.Second

// Link is one connection from a plugin process.
type Link struct {
	First wire.Frame // hello, rejoin or transfer; its fields are not checked

	manager *Manager
	conn    *net.UnixConn

	writing sync.Mutex // held over a write

	mu      sync.Mutex
	frames  []wire.Frame // that came and were not taken
	changed chan struct{}
	bad     error // what is wrong with a frame
	over    error // why no more frames come
	credit  bool  // is given back at once
	grant   uint32
	granted []wire.Sequences
	acked   wire.Ack
}

// ErrOver is wrapped when a link has ended.
var ErrOver = errors.New("the plugin closed its relay link")

// Close ends the connection.
func (l *Link) Close() { l.conn.Close() }

// Conn is the connection itself, for a transfer.
func (l *Link) Conn() *net.UnixConn { return l.conn }

// PeerPID is the process at the other end, as the kernel says.
func (l *Link) PeerPID() (pid int, err error) {
	raw, err := l.conn.SyscallConn()
	if err != nil {
		return 0, err
	}
	cerr := raw.Control(func(fd uintptr) {
		var cred *unix.Ucred
		if cred, err = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED); err == nil {
			pid = int(cred.Pid)
		}
	})
	return pid, errors.Join(cerr, err)
}

// Hoard keeps credit back from now on, or gives it again.
func (l *Link) Hoard(hoard bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.credit = !hoard
}

// Welcome answers a hello or a rejoin, with so many sequences now and each time that
// the plugin asks for more.
func (l *Link) Welcome(server uint8, sequences, window uint32) error {
	return l.WelcomeWith(server, sequences, window, nil)
}

// WelcomeWith is Welcome with more behind it than this version has.
func (l *Link) WelcomeWith(server uint8, sequences, window uint32, more []byte) error {
	w := wire.Welcome{Version: shared.ProtocolVersion, Server: server, Sequences: l.give(sequences), Window: window}
	frame := append(wire.AppendWelcome(nil, &w), more...)
	binary.BigEndian.PutUint32(frame, uint32(len(frame)-4))
	return l.Write(frame)
}

func (l *Link) give(n uint32) wire.Sequences {
	s := l.manager.sequences(n)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.grant = n
	l.granted = append(l.granted, s)
	return s
}

// Granted reports whether the plugin was given a sequence.
func (l *Link) Granted(sequence uint32) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.ContainsFunc(l.granted, func(s wire.Sequences) bool { return sequence >= s.First && sequence-s.First < s.Count })
}

// Send writes the frames that encode appends.
func (l *Link) Send(encode func(dst []byte) []byte) error { return l.Write(encode(nil)) }

// Write writes bytes, which need not be frames.
func (l *Link) Write(b []byte) error {
	l.writing.Lock()
	defer l.writing.Unlock()
	if err := l.conn.SetWriteDeadline(time.Now().Add(writeTime)); err != nil {
		return fmt.Errorf("write the relay link: %w", err)
	}
	if _, err := l.conn.Write(b); err != nil {
		return fmt.Errorf("write the relay link, which the plugin has to read at all times: %w", err)
	}
	return nil
}

// read keeps what comes until the link ends.
func (l *Link) read() {
	r := wire.NewReader(l.conn)
	for {
		f, err := r.Next()
		if err == nil {
			f.Raw = bytes.Clone(f.Raw)
			f.Body = f.Raw[wire.HeaderSize:]
			err = check(f)
		}
		if err != nil {
			l.end(err)
			return
		}
		l.react(f)
		l.mu.Lock()
		if f.Type == wire.TypeAck {
			_ = l.acked.Parse(f.Body) // checked above
		} else {
			l.frames = append(l.frames, f)
		}
		l.wake()
		l.mu.Unlock()
	}
}

// wake tells who waits. The lock is held.
func (l *Link) wake() {
	close(l.changed)
	l.changed = make(chan struct{})
}

func (l *Link) end(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if errors.Is(err, io.EOF) || errors.Is(err, unix.ECONNRESET) {
		err = ErrOver
	} else if !errors.Is(err, net.ErrClosed) {
		l.bad = err
	}
	l.over = err
	l.conn.Close()
	l.wake()
}

// Bad is what the plugin did wrong on the link, nil so far.
func (l *Link) Bad() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.bad
}

// react does what a manager does at once.
func (l *Link) react(f wire.Frame) {
	switch f.Type {
	case wire.TypeMoreSequences:
		l.mu.Lock()
		n := l.grant
		l.mu.Unlock()
		s := l.give(n)
		_ = l.Send(func(dst []byte) []byte { return wire.AppendSequences(dst, s) })
	case wire.TypeSubscribe, wire.TypeUnsubscribe:
		var g wire.Group
		if g.Parse(f.Body) == nil && g.Token != 0 {
			_ = l.Answer(g.Token, 1)
		}
	case wire.TypeMessage:
		var m wire.Message
		if m.Parse(f.Body) != nil {
			return
		}
		l.mu.Lock()
		credit := l.credit
		l.mu.Unlock()
		if lane, ok := wire.LaneOf(m.Kind, m.EntityID); ok && credit {
			c := wire.Credit{Lane: lane, Bytes: uint32(len(f.Raw))}
			_ = l.Send(func(dst []byte) []byte { return wire.AppendCredit(dst, &c) })
		}
	}
}

// Take waits for the first frame that is right and takes it out of the others. what
// names it for the error.
func (l *Link) Take(ctx context.Context, what string, right func(wire.Frame) bool) (wire.Frame, error) {
	for {
		l.mu.Lock()
		at := slices.IndexFunc(l.frames, right)
		if at >= 0 {
			f := l.frames[at]
			l.frames = slices.Delete(l.frames, at, at+1)
			l.mu.Unlock()
			return f, nil
		}
		over, bad, changed, others := l.over, l.bad, l.changed, l.kinds()
		l.mu.Unlock()
		switch {
		case bad != nil:
			return wire.Frame{}, fmt.Errorf("the plugin sent what is no frame of this protocol: %w", bad)
		case over != nil:
			return wire.Frame{}, fmt.Errorf("%s did not come: %w", what, over)
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return wire.Frame{}, fmt.Errorf("%s did not come%s: %w", what, others, context.Cause(ctx))
		}
	}
}

// Seen reports whether a frame that is right has come and was not taken.
func (l *Link) Seen(right func(wire.Frame) bool) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.ContainsFunc(l.frames, right)
}

// Acked waits until the plugin has acknowledged so many messages.
func (l *Link) Acked(ctx context.Context, messages uint64) error {
	for {
		l.mu.Lock()
		acked, over, changed := l.acked, l.over, l.changed
		l.mu.Unlock()
		switch {
		case acked.Messages >= messages:
			return nil
		case over != nil:
			return fmt.Errorf("the ack did not come: %w", over)
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("no ack said that %d messages were read, the last said %d: %w", messages, acked.Messages, context.Cause(ctx))
		}
	}
}

// Ended waits for the end of the link.
func (l *Link) Ended(ctx context.Context) error {
	_, err := l.Take(ctx, "the end of the relay link", func(wire.Frame) bool { return false })
	if errors.Is(err, ErrOver) {
		return nil
	}
	return err
}

// kinds says what came instead. The lock is held.
func (l *Link) kinds() string {
	if len(l.frames) == 0 {
		return ""
	}
	var names []string
	for _, f := range l.frames[:min(len(l.frames), 8)] {
		names = append(names, f.Type.String())
	}
	return fmt.Sprintf(" (but %d others, first %s)", len(l.frames), strings.Join(names, ", "))
}
