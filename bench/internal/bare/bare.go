// Package bare is the yardstick: what a relay between processes costs when it does
// nothing but relay. Three processes on Unix stream sockets; the middle one reads
// frames of a length, a destination byte and a payload, and passes them on.
//
// Relay uses 64 KiB buffers, flushes when the input runs dry and spends one
// goroutine and one channel send per message, as one would write it first. Lean
// copies whole buffers between the two sockets and knows no messages at all: no
// relay that routes can be faster. Listen and Connect make a link without any relay.
package bare

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
)

const bufferSize = 64 << 10

// Relay accepts n peers on l, each of which says its number in one byte, and relays
// frames between them until each pair (0 and 1, 2 and 3, …) has one that closes.
func Relay(l net.Listener, n int) error {
	peers, err := accept(l, n)
	if err != nil {
		return err
	}
	queues := make([]chan []byte, n)
	for i := range queues {
		queues[i] = make(chan []byte, 1024)
	}
	pool := sync.Pool{New: func() any { return []byte(nil) }}
	var wg sync.WaitGroup
	for i := range peers {
		wg.Go(func() {
			defer close(queues[i^1])
			r := bufio.NewReaderSize(peers[i], bufferSize)
			for {
				head, err := r.Peek(4)
				if err != nil {
					return
				}
				n := 4 + int(binary.BigEndian.Uint32(head))
				frame := pool.Get().([]byte)
				if cap(frame) < n {
					frame = make([]byte, n)
				}
				frame = frame[:n]
				if _, err := io.ReadFull(r, frame); err != nil {
					return
				}
				queues[frame[4]] <- frame
			}
		})
		wg.Go(func() {
			defer peers[i].Close()
			w := bufio.NewWriterSize(peers[i], bufferSize)
			for frame := range queues[i] {
				if _, err := w.Write(frame); err != nil {
					for range queues[i] { // the reader on the other side must not hang
					}
					return
				}
				pool.Put(frame)
				if len(queues[i]) == 0 {
					if err := w.Flush(); err != nil {
						for range queues[i] {
						}
						return
					}
				}
			}
		})
	}
	wg.Wait()
	return nil
}

// Lean relays between two peers like Relay, without looking at what it copies.
func Lean(l net.Listener) error {
	peers, err := accept(l, 2)
	if err != nil {
		return err
	}
	var wg sync.WaitGroup
	for i := range peers {
		wg.Go(func() {
			defer peers[1-i].Close()
			buf := make([]byte, bufferSize)
			for {
				n, err := peers[i].Read(buf)
				if err != nil {
					return
				}
				if _, err := peers[1-i].Write(buf[:n]); err != nil {
					return
				}
			}
		})
	}
	wg.Wait()
	return nil
}

func accept(l net.Listener, n int) ([]net.Conn, error) {
	peers := make([]net.Conn, n)
	for range n {
		c, err := l.Accept()
		if err != nil {
			return peers, err
		}
		var who [1]byte
		if _, err := io.ReadFull(c, who[:]); err != nil {
			return peers, err
		}
		if int(who[0]) >= n || peers[who[0]] != nil {
			return peers, errors.New("peer number taken or out of range")
		}
		peers[who[0]] = c
	}
	return peers, nil
}

// Dial connects to a relay as peer number who.
func Dial(path string, who byte) (*Link, error) {
	c, err := net.Dial("unix", path)
	if err != nil {
		return nil, fmt.Errorf("dial relay: %w", err)
	}
	if _, err := c.Write([]byte{who}); err != nil {
		return nil, err
	}
	return &Link{conn: c, r: bufio.NewReaderSize(c, bufferSize), w: bufio.NewWriterSize(c, bufferSize), to: who ^ 1}, nil
}

// Listen returns a link to whoever connects to path first, with no relay between. It
// does not block; the first Receive waits for the other.
func Listen(path string) (*Link, error) {
	l, err := net.Listen("unix", path)
	if err != nil {
		return nil, fmt.Errorf("listen for the other peer: %w", err)
	}
	c := &accepted{l: l}
	return &Link{conn: c, r: bufio.NewReaderSize(c, bufferSize), w: bufio.NewWriterSize(c, bufferSize)}, nil
}

// Connect connects to a peer that listens at path.
func Connect(path string) (*Link, error) {
	c, err := net.Dial("unix", path)
	if err != nil {
		return nil, fmt.Errorf("connect to the other peer: %w", err)
	}
	return &Link{conn: c, r: bufio.NewReaderSize(c, bufferSize), w: bufio.NewWriterSize(c, bufferSize)}, nil
}

// accepted is the connection of the first who connects.
type accepted struct {
	l net.Listener
	net.Conn
}

func (a *accepted) Read(p []byte) (n int, err error) {
	if a.Conn == nil {
		if a.Conn, err = a.l.Accept(); err != nil {
			return 0, err
		}
	}
	return a.Conn.Read(p)
}

// Close ends the connection, if there is one, and the listening.
func (a *accepted) Close() error {
	if a.Conn != nil {
		a.Conn.Close()
	}
	return a.l.Close()
}

// Link is one peer's connection; it implements the peer package's Link.
type Link struct {
	conn io.Closer
	r    *bufio.Reader
	w    *bufio.Writer
	to   byte
	buf  []byte
}

// Send queues one message for the other peer.
func (l *Link) Send(payload []byte) error {
	var head [5]byte
	binary.BigEndian.PutUint32(head[:], uint32(1+len(payload)))
	head[4] = l.to
	if _, err := l.w.Write(head[:]); err != nil {
		return err
	}
	_, err := l.w.Write(payload)
	return err
}

// Flush writes what is queued.
func (l *Link) Flush() error { return l.w.Flush() }

// Receive returns the next message, valid until the next call.
func (l *Link) Receive() ([]byte, error) {
	head, err := l.r.Peek(4)
	if err != nil {
		return nil, err
	}
	n := 4 + int(binary.BigEndian.Uint32(head))
	if cap(l.buf) < n {
		l.buf = make([]byte, n)
	}
	if _, err := io.ReadFull(l.r, l.buf[:n]); err != nil {
		return nil, err
	}
	return l.buf[5:n], nil
}

// Close ends the connection.
func (l *Link) Close() error { return l.conn.Close() }
