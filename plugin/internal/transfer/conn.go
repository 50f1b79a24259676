package transfer

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/antano/antano/shared/wire"
)

// How many bytes and descriptors may wait to be written before Room waits: each of these
// is one that the process has beside its client's.
const (
	crowdedBytes = 1 << 20
	crowdedFDs   = 64
)

// ErrClosed means that the connection was closed here.
var ErrClosed = errors.New("transfer connection is closed")

// outgoing is a record that waits to be written.
type outgoing struct {
	bytes []byte
	fd    int // -1: none
}

// Conn is one end of a transfer connection.
type Conn struct {
	conn *net.UnixConn
	in   inbound

	mu       sync.Mutex
	queue    []outgoing
	queued   int  // bytes
	fds      int  // in queue
	finished bool // nothing more will be put
	err      error
	room     chan struct{} // closed when less waits; nil while nobody waits for it

	wake chan struct{}
	gone chan struct{} // closed with err
	done chan struct{} // the writer has ended
}

// Dial connects to the manager's relay socket and says which move it is for. ctx bounds
// the dialling alone.
func Dial(ctx context.Context, socket string, first wire.Transfer) (*Conn, error) {
	var d net.Dialer
	c, err := d.DialContext(ctx, "unix", socket)
	if err != nil {
		return nil, fmt.Errorf("dial relay socket %s for a transfer: %w", socket, err)
	}
	if _, err := c.Write(wire.AppendTransfer(nil, &first)); err != nil {
		c.Close()
		return nil, fmt.Errorf("open a transfer connection at %s: %w", socket, err)
	}
	return New(c.(*net.UnixConn)), nil
}

// New makes a Conn of a connection, which it owns from now on.
func New(conn *net.UnixConn) *Conn {
	c := &Conn{conn: conn, wake: make(chan struct{}, 1), gone: make(chan struct{}), done: make(chan struct{})}
	c.in.conn = conn
	go c.write()
	return c
}

// Put queues a record that encode appends, and with it fd, or none if that is negative.
// The descriptor is the Conn's from now on.
func (c *Conn) Put(fd int, encode func(dst []byte) []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil || c.finished {
		closeFD(fd)
		return errors.Join(c.err, ErrClosed)
	}
	o := outgoing{fd: fd}
	if last := len(c.queue) - 1; fd < 0 && last >= 0 && len(c.queue[last].bytes) < 64<<10 {
		before := len(c.queue[last].bytes)
		c.queue[last].bytes = encode(c.queue[last].bytes)
		c.queued += len(c.queue[last].bytes) - before
		return nil
	}
	o.bytes = encode(nil)
	c.queued += len(o.bytes)
	if fd >= 0 {
		c.fds++
	}
	c.queue = append(c.queue, o)
	c.poke()
	return nil
}

func (c *Conn) poke() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// Room waits until not much waits to be written.
func (c *Conn) Room(ctx context.Context) error {
	c.mu.Lock()
	if c.err != nil || !c.crowded() {
		defer c.mu.Unlock()
		return c.err
	}
	if c.room == nil {
		c.room = make(chan struct{})
	}
	room := c.room
	c.mu.Unlock()
	select {
	case <-room:
		return nil
	case <-c.gone:
		return c.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (c *Conn) crowded() bool { return c.queued >= crowdedBytes || c.fds >= crowdedFDs }

// Finish ends this side's part: what is queued is written, then the other end sees the
// end of the stream. It does not wait.
func (c *Conn) Finish() {
	c.mu.Lock()
	c.finished = true
	c.mu.Unlock()
	c.poke()
}

// Close ends the connection at once and waits for its goroutine.
func (c *Conn) Close() {
	c.fail(ErrClosed)
	<-c.done
}

// Abort is Close without waiting: a Next under way ends.
func (c *Conn) Abort() { c.fail(ErrClosed) }

// Discard closes the descriptors that came and that nobody took. It is called by who
// called Next, last.
func (c *Conn) Discard() { c.in.discard() }

func (c *Conn) fail(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return
	}
	c.err = err
	for _, o := range c.queue {
		closeFD(o.fd)
	}
	c.queue, c.queued = nil, 0
	close(c.gone)
	c.conn.Close()
}

// take returns the next record to write; last says that there is none and will be none.
func (c *Conn) take() (o outgoing, ok, last bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.queue) == 0 {
		return o, false, c.finished
	}
	o = c.queue[0]
	c.queue[0] = outgoing{}
	c.queue = c.queue[1:]
	return o, true, false
}

func (c *Conn) wrote(o outgoing) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if o.fd >= 0 {
		c.fds--
	}
	if c.queued = max(c.queued-len(o.bytes), 0); c.room != nil && !c.crowded() {
		close(c.room)
		c.room = nil
	}
}

func (c *Conn) write() {
	defer close(c.done)
	for {
		o, ok, last := c.take()
		switch {
		case ok:
			err := c.send(o)
			closeFD(o.fd)
			if err != nil {
				c.fail(fmt.Errorf("write transfer connection: %w", err))
				return
			}
			c.wrote(o)
			continue
		case last:
			c.conn.CloseWrite()
			return
		}
		select {
		case <-c.wake:
		case <-c.gone:
			return
		}
	}
}

// send writes one record; its descriptor goes with the first byte.
func (c *Conn) send(o outgoing) error {
	var rights []byte
	if o.fd >= 0 {
		rights = unix.UnixRights(o.fd)
	}
	n, _, err := c.conn.WriteMsgUnix(o.bytes, rights, nil)
	if err == nil && n < len(o.bytes) {
		_, err = c.conn.Write(o.bytes[n:])
	}
	return err
}

func closeFD(fd int) {
	if fd >= 0 {
		unix.Close(fd)
	}
}
