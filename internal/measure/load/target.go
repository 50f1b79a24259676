// Package load is clients that load a server over its transports and count what comes
// back. They are as cheap as can be, so as not to be what is measured: they write bytes
// that were made before, and compare what they read with the bytes that it must be.
//
// Every function blocks until its load is over, ends early with an error when its
// context does, and leaves no goroutine and no connection behind unless it says so.
package load

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"time"
)

// Target is where clients connect.
type Target struct {
	Network string // tcp, unix, unixpacket, udp, unixgram
	Address string
	Dir     string // for the sockets of unixgram clients; short

	PackedIn, PackedOut bool // what is sent, and got, is msgpack behind its length
}

// Datagrams reports whether messages are datagrams, which need no line end and may be
// lost.
func (t Target) Datagrams() bool { return t.Network == "udp" || t.Network == "unixgram" }

// lines reports whether each message ends with a line end.
func (t Target) lines() bool { return t.Network == "tcp" || t.Network == "unix" }

const (
	// datagramBuffer holds what a datagram client has not read yet.
	datagramBuffer = 4 << 20
	// perAddress is how many connections come from one loopback address, fewer than a
	// host has ports for them.
	perAddress = 20_000
	dialTime   = 10 * time.Second
)

var locals atomic.Int64

// dial connects the client number n of a crowd.
func (t Target) dial(ctx context.Context, n int) (net.Conn, error) {
	d := net.Dialer{Timeout: dialTime}
	switch {
	case t.Network == "unixgram":
		d.LocalAddr = &net.UnixAddr{Name: filepath.Join(t.Dir, fmt.Sprintf("c%d", locals.Add(1))), Net: t.Network}
	case t.Network == "tcp" && n >= perAddress:
		d.LocalAddr = &net.TCPAddr{IP: net.IPv4(127, 0, 0, byte(1+n/perAddress))}
	}
	c, err := d.DialContext(ctx, t.Network, t.Address)
	for deadline := time.Now().Add(dialTime); errors.Is(err, syscall.EAGAIN) && time.Now().Before(deadline) && ctx.Err() == nil; {
		time.Sleep(time.Millisecond) // the backlog of a Unix socket is full
		c, err = d.DialContext(ctx, t.Network, t.Address)
	}
	if err != nil {
		return nil, err
	}
	if u, ok := c.(interface{ SetReadBuffer(int) error }); ok && t.Datagrams() {
		_ = u.SetReadBuffer(datagramBuffer)
	}
	return c, nil
}

// closeAll closes connections and removes the sockets that they were bound to.
func closeAll(conns []net.Conn) {
	for _, c := range conns {
		if c == nil {
			continue
		}
		c.Close()
		if a, ok := c.LocalAddr().(*net.UnixAddr); ok && a.Net == "unixgram" {
			os.Remove(a.Name)
		}
	}
}

// dialAll opens n connections, a few at a time.
func dialAll(ctx context.Context, t Target, n int) ([]net.Conn, error) {
	conns := make([]net.Conn, n)
	err := parallel(ctx, n, func(i int) (err error) {
		conns[i], err = t.dial(ctx, i)
		return err
	})
	if err != nil {
		closeAll(conns)
		return nil, fmt.Errorf("%d connections to %s: %w", n, t.Address, err)
	}
	return conns, nil
}
