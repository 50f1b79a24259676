package relay

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"

	"golang.org/x/sys/unix"

	"github.com/antano/antano/shared/wire"
)

// Socket is a descriptor that a process inherited, and its name.
type Socket struct {
	Name string
	FD   int
}

// gift is the descriptors that a process was asked for. l.mu guards it.
type gift struct {
	move uint64
	done chan given // nil while none are awaited
}

type given struct {
	sockets []Socket
	err     error
}

const (
	recordSocket = 8 // type of a transfer record
	maxSockets   = 128
	maxName      = 255
)

// Sockets asks a process for the listening sockets and the share page that it
// inherited, by their names, and waits for them until ctx ends. They are the caller's;
// those that came are closed with an error.
func (l *Link) Sockets(ctx context.Context) ([]Socket, error) {
	done := make(chan given, 1)
	l.r.mu.Lock()
	l.r.lastMove++
	move := l.r.lastMove
	l.r.mu.Unlock()
	l.mu.Lock()
	l.gift = gift{move, done}
	l.mu.Unlock()
	err := l.request(func(dst []byte) []byte { return wire.AppendMove(dst, wire.TypeGiveSockets, move) })
	if err != nil {
		return nil, err
	}
	select {
	case g := <-done:
		return g.sockets, g.err
	case <-l.down:
		err = fmt.Errorf("%w: %s", ErrDown, l)
	case <-ctx.Done():
		err = fmt.Errorf("%s did not give its sockets: %w", l, ctx.Err())
	}
	l.mu.Lock()
	late := l.gift.done == nil
	l.gift.done = nil
	l.mu.Unlock()
	if late { // they are being received
		closeSockets((<-done).sockets)
	}
	return nil, err
}

// isGift reports whether a transfer connection is for Sockets.
func (l *Link) isGift(move uint64) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.gift.done != nil && l.gift.move == move
}

// receiveSockets takes what comes over a transfer connection, which it closes.
func (l *Link) receiveSockets(ctx context.Context, conn *net.UnixConn) error {
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	l.mu.Lock()
	done := l.gift.done
	l.gift.done = nil
	l.mu.Unlock()
	if done == nil {
		return nil
	}
	sockets, err := readSockets(conn)
	if err != nil {
		closeSockets(sockets)
		sockets, err = nil, fmt.Errorf("sockets of %s: %w", l, err)
	}
	done <- given{sockets, err} // has room
	return nil
}

// readSockets reads records until the end of the stream. A descriptor comes no later
// than the first byte of its record, so each is read before what follows its header.
func readSockets(conn *net.UnixConn) (sockets []Socket, err error) {
	var fds []int
	defer func() {
		for _, fd := range fds {
			_ = unix.Close(fd)
		}
	}()
	r := &rightsReader{conn: conn, fds: &fds}
	for {
		var head [5]byte
		_, err := io.ReadFull(r, head[:])
		if errors.Is(err, io.EOF) {
			return sockets, nil
		}
		if err != nil {
			return sockets, err
		}
		size := int(binary.BigEndian.Uint32(head[:])) - 1
		if head[4] != recordSocket || size < 1 || size > maxName || len(sockets) == maxSockets {
			return sockets, fmt.Errorf("%w: record %d of %d bytes is no socket, or one too many", wire.ErrFrame, head[4], size)
		}
		name := make([]byte, size)
		if _, err := io.ReadFull(r, name); err != nil {
			return sockets, err
		}
		if len(fds) == 0 {
			return sockets, fmt.Errorf("%w: the descriptor of %q did not come", wire.ErrFrame, name)
		}
		sockets = append(sockets, Socket{string(name), fds[0]})
		fds = fds[1:]
	}
}

// rightsReader collects the descriptors that come with what it reads.
type rightsReader struct {
	conn *net.UnixConn
	fds  *[]int
}

func (r *rightsReader) Read(p []byte) (int, error) {
	var oob [256]byte
	n, oobn, flags, _, err := r.conn.ReadMsgUnix(p, oob[:])
	if oobn > 0 {
		messages, perr := unix.ParseSocketControlMessage(oob[:oobn])
		for i := range messages {
			fds, _ := unix.ParseUnixRights(&messages[i])
			*r.fds = append(*r.fds, fds...)
		}
		if perr != nil || flags&unix.MSG_CTRUNC != 0 {
			return 0, fmt.Errorf("descriptors were cut off; raise the limit (ulimit -n): %w", errors.Join(perr, wire.ErrFrame))
		}
	}
	if n <= 0 && err == nil {
		err = io.EOF
	}
	return max(n, 0), err
}

func closeSockets(sockets []Socket) {
	for _, s := range sockets {
		_ = unix.Close(s.FD)
	}
}
