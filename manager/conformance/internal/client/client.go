package client

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/antano/antano/shared"
)

// writeTime is how long a write may take; a server that pushes back longer does it
// for too long.
const writeTime = 10 * time.Second

// receiveBuffer is what the kernel holds for a stream client.
const receiveBuffer = 64 << 10

// maxObject bounds what a client takes.
const maxObject = shared.MaxFrameBytes

// Config says how to reach a service.
type Config struct {
	Params  shared.ServiceParams
	Address string // host:port or a path
	Network string // tcp, udp, unix, unixgram or unixpacket
	Dir     string // for the paths of datagram clients
	Command string // to run with sh instead of dialling; ANTANO_ADDRESS and ANTANO_ENDPOINT say where
}

// Client is one peer of the service.
type Client struct {
	conn   io.ReadWriteCloser
	frame  func([]byte) []byte
	unwrap func(*bufio.Reader) ([]byte, error)
	closed func()
	came   chan Object
	rest   chan struct{} // closed by Close
	gate   sync.Mutex    // held while nothing is read
	once   sync.Once
	reader sync.WaitGroup

	mu  sync.Mutex
	err error // why nothing more comes
}

// ErrEnded is wrapped when the connection has ended.
var ErrEnded = errors.New("the connection ended")

// ErrForeign is wrapped when what came is no message object.
var ErrForeign = errors.New("what came is no message object")

// Dial connects. It reads nothing before Read is called.
func (c *Config) Dial(ctx context.Context) (*Client, error) {
	cl := &Client{came: make(chan Object, 1<<16), rest: make(chan struct{}), closed: func() {}}
	if c.Command != "" {
		return cl, cl.run(c)
	}
	cl.frame, cl.unwrap = framing(c)
	conn, err := c.dial(ctx, cl)
	if err != nil {
		return nil, fmt.Errorf("connect a client to %s %s: %w", c.Network, c.Address, err)
	}
	cl.conn = conn
	return cl, nil
}

var serial atomic.Int64

func (c *Config) dial(ctx context.Context, cl *Client) (net.Conn, error) {
	var d net.Dialer
	if c.Network == "unixgram" { // without a path it could not be answered
		path := filepath.Join(c.Dir, fmt.Sprint("c", serial.Add(1)))
		d.LocalAddr = &net.UnixAddr{Name: path, Net: c.Network}
		cl.closed = func() { os.Remove(path) }
	}
	conn, err := d.DialContext(ctx, c.Network, c.Address)
	if s, ok := conn.(interface{ SetReadBuffer(int) error }); ok && c.Network != "udp" && c.Network != "unixgram" {
		_ = s.SetReadBuffer(receiveBuffer) // so that a client that does not read is soon full
	}
	return conn, err
}

// Close ends the connection.
func (c *Client) Close() {
	c.once.Do(func() {
		close(c.rest)
		c.conn.Close()
		c.closed()
		c.reader.Wait()
	})
}

// Read begins to read.
func (c *Client) Read() *Client {
	c.reader.Go(func() {
		err := c.read()
		c.mu.Lock()
		c.err = err
		c.mu.Unlock()
		close(c.came)
	})
	return c
}

func (c *Client) read() error {
	r := bufio.NewReaderSize(c.conn, 1<<17)
	for {
		c.pass()
		b, err := c.unwrap(r)
		if err != nil {
			if errors.Is(err, ErrForeign) {
				return err
			}
			return fmt.Errorf("%w: %w", ErrEnded, err)
		}
		if len(b) == 0 {
			continue // a keep-alive
		}
		o, err := parse(b)
		if err != nil {
			return err
		}
		select {
		case c.came <- o:
		case <-c.rest:
			return ErrEnded
		}
	}
}

// Hold reads nothing more, apart from one message that may be on its way, until
// Release is called.
func (c *Client) Hold() { c.gate.Lock() }

// pass waits while nothing is to be read.
func (c *Client) pass() {
	c.gate.Lock()
	defer c.gate.Unlock()
}

// Release goes on reading.
func (c *Client) Release() { c.gate.Unlock() }

// Send sends one message. It blocks while the service does not read.
func (c *Client) Send(message string) error {
	if d, ok := c.conn.(net.Conn); ok {
		if err := d.SetWriteDeadline(time.Now().Add(writeTime)); err != nil {
			return fmt.Errorf("send to the service: %w", err)
		}
	}
	if _, err := c.conn.Write(c.frame([]byte(message))); err != nil {
		return fmt.Errorf("send to the service: %w", err)
	}
	return nil
}

// Receive waits for the next message object.
func (c *Client) Receive(ctx context.Context) (Object, error) {
	select {
	case o, ok := <-c.came:
		if ok {
			return o, nil
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		return nil, c.err
	case <-ctx.Done():
		return nil, fmt.Errorf("no message came: %w", context.Cause(ctx))
	}
}

// Ask sends a message and waits for the next that comes.
func (c *Client) Ask(ctx context.Context, message string) (Object, error) {
	if err := c.Send(message); err != nil {
		return nil, err
	}
	o, err := c.Receive(ctx)
	if err != nil {
		return nil, fmt.Errorf("%s was not answered: %w", message, err)
	}
	return o, nil
}
