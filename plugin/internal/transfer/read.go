package transfer

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"

	"golang.org/x/sys/unix"
)

const (
	headerSize = 5
	// MaxRecord is the largest record, its header included.
	MaxRecord = 16<<20 + 64<<10
	// maxWaiting bounds the descriptors that came before their records.
	maxWaiting = 256
	readSize   = 64 << 10
	keepBuffer = 1 << 20
)

// ErrRecord means that the other process does not speak the protocol.
var ErrRecord = errors.New("bad transfer record")

// Record is one record; Body is valid until the next one is read.
type Record struct {
	Type Type
	Body []byte
}

// inbound reads records. Descriptors come no later than the first byte of their
// records, in the same order, so that the oldest belongs to the next record that has one.
type inbound struct {
	conn   *net.UnixConn
	buffer []byte // read; unparsed from at
	at     int
	fds    []int
	oob    [256]byte
}

// Next reads a record, waiting for it. The error is io.EOF at the end of the stream, and
// ErrRecord for what is none.
func (c *Conn) Next() (Record, error) { return c.in.next() }

func (r *inbound) next() (Record, error) {
	for {
		rec, n, err := split(r.buffer[r.at:])
		if err != nil || n > 0 {
			r.at += n
			return rec, err
		}
		if err := r.read(); err != nil {
			return Record{}, err
		}
	}
}

// split cuts the first record off b; n is 0 when it is not whole.
func split(b []byte) (rec Record, n int, err error) {
	if len(b) < 4 {
		return rec, 0, nil
	}
	length := binary.BigEndian.Uint32(b)
	if length < 1 || length > MaxRecord-4 {
		return rec, 0, fmt.Errorf("%w: length %d", ErrRecord, length)
	}
	n = 4 + int(length)
	if len(b) < n {
		return rec, 0, nil
	}
	return Record{Type(b[4]), b[headerSize:n]}, n, nil
}

func (r *inbound) read() error {
	switch {
	case r.at == len(r.buffer) && cap(r.buffer) > keepBuffer:
		r.buffer = nil
	default:
		r.buffer = r.buffer[:copy(r.buffer, r.buffer[r.at:])]
	}
	r.at = 0
	have := len(r.buffer)
	for cap(r.buffer) < have+readSize {
		r.buffer = append(r.buffer[:cap(r.buffer)], make([]byte, max(readSize, have))...)
	}
	r.buffer = r.buffer[:have]
	n, oobn, flags, _, err := r.conn.ReadMsgUnix(r.buffer[have:cap(r.buffer)], r.oob[:])
	if oobn > 0 {
		if err := r.receive(r.oob[:oobn], flags); err != nil {
			return err
		}
	}
	r.buffer = r.buffer[:have+max(n, 0)]
	switch {
	case err == nil && n > 0:
		return nil
	case err == nil || errors.Is(err, io.EOF):
		if have > 0 {
			return io.ErrUnexpectedEOF
		}
		return io.EOF
	}
	return fmt.Errorf("read transfer connection: %w", err)
}

// receive keeps the descriptors of a control message.
func (r *inbound) receive(oob []byte, flags int) error {
	messages, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		return fmt.Errorf("%w: control message: %w", ErrRecord, err)
	}
	for i := range messages {
		fds, err := unix.ParseUnixRights(&messages[i])
		if err != nil {
			return fmt.Errorf("%w: descriptors: %w", ErrRecord, err)
		}
		r.fds = append(r.fds, fds...)
	}
	if flags&unix.MSG_CTRUNC != 0 {
		return fmt.Errorf("%w: descriptors were cut off; this process may be out of them", ErrRecord)
	}
	if len(r.fds) > maxWaiting {
		return fmt.Errorf("%w: %d descriptors wait for their records", ErrRecord, len(r.fds))
	}
	return nil
}

// TakeFD returns the descriptor of the record that Next returned last, which is the
// caller's from now on.
func (c *Conn) TakeFD() (int, error) {
	if len(c.in.fds) == 0 {
		return -1, fmt.Errorf("%w: its descriptor did not come", ErrRecord)
	}
	fd := c.in.fds[0]
	c.in.fds = c.in.fds[1:]
	return fd, nil
}

func (r *inbound) discard() {
	for _, fd := range r.fds {
		closeFD(fd)
	}
	r.fds = nil
}
