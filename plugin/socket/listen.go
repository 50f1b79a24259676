package socket

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/antano/antano/plugin"
	"github.com/antano/antano/shared"
)

// Listen returns a net.Listener for a server of the author's own, such as net/http, on
// the first listening socket of host, which all processes of the service share. A process
// with more than its part of the clients leaves a connection to its siblings for a moment
// (Host.AboveShare), so each client is to be registered with Endpoint.Connect.
// refusal, nil for nothing, is written to a connection for which there is no descriptor.
// Accept waits out errors that may pass, and one goroutine at a time may call it. Close
// ends it; the socket stays the manager's and goes on listening for the other processes.
func Listen(host plugin.Host, refusal []byte) (net.Listener, error) {
	sock, err := listening(host.Sockets())
	if err != nil {
		return nil, err
	}
	l := &sharedListener{refusal: refusal, done: make(chan struct{})}
	if err := l.open(host, sock, l.wait); err != nil {
		return nil, err
	}
	if err := l.prepare(sock.FD); err != nil {
		l.end()
		return nil, err
	}
	name, err := unix.Getsockname(sock.FD)
	if err != nil {
		l.end()
		return nil, fmt.Errorf("ask the address of socket %s: %w", sock.Name, err)
	}
	l.address = addressOf(name)
	return l, nil
}

// listening finds the socket to accept from.
func listening(sockets []plugin.Socket) (plugin.Socket, error) {
	for _, s := range sockets {
		on, err := unix.GetsockoptInt(s.FD, unix.SOL_SOCKET, unix.SO_ACCEPTCONN)
		if err != nil {
			return s, fmt.Errorf("use socket %s (descriptor %d): %w", s.Name, s.FD, err)
		}
		if on != 0 {
			return s, nil
		}
	}
	return plugin.Socket{}, errors.New("listen: the process inherited no listening socket: describe the transport tcp")
}

func addressOf(sa unix.Sockaddr) net.Addr {
	switch a := sa.(type) {
	case *unix.SockaddrInet4:
		return &net.TCPAddr{IP: a.Addr[:], Port: a.Port}
	case *unix.SockaddrInet6:
		at := &net.TCPAddr{IP: a.Addr[:], Port: a.Port}
		if a.ZoneId != 0 {
			at.Zone = strconv.FormatUint(uint64(a.ZoneId), 10)
		}
		return at
	case *unix.SockaddrUnix:
		return &net.UnixAddr{Name: a.Name, Net: "unix"}
	}
	return &net.UnixAddr{Net: "unix"}
}

// sharedListener is an acceptor as a net.Listener.
type sharedListener struct {
	acceptor
	refusal []byte
	address net.Addr
	once    sync.Once
	done    chan struct{} // closed by Close
}

func (l *sharedListener) wait(d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-l.done:
		return false
	}
}

// Accept waits for the next connection; its error is net.ErrClosed.
func (l *sharedListener) Accept() (net.Conn, error) {
	c, err := l.accept()
	if err != nil {
		l.end()
	}
	return c, err
}

func (l *sharedListener) accept() (net.Conn, error) {
	wait := time.Duration(0)
	for {
		conn, _, err := l.next()
		if err == nil {
			var c net.Conn
			if c, err = connection(conn); err == nil {
				return c, nil
			}
		}
		switch {
		case errors.Is(err, errTaken):
		case errors.Is(err, os.ErrClosed), err == unix.EINVAL: // the manager ended it, for all
			return nil, net.ErrClosed
		case outOfDescriptors(err) && l.refuse(l.refuseNow):
			wait = 0
		default:
			if wait = longer(wait); !l.retry(err, wait) {
				return nil, net.ErrClosed
			}
		}
	}
}

// connection makes a net.Conn of an accepted descriptor. It takes it over.
func connection(fd int) (net.Conn, error) {
	file := os.NewFile(uintptr(fd), "connection")
	defer file.Close()
	c, err := net.FileConn(file)
	if err != nil {
		return nil, fmt.Errorf("use a connection: %w", err)
	}
	return c, nil
}

func (l *sharedListener) refuseNow(conn int) {
	l.host.CountDrop(shared.CodeOverloaded, 1)
	sayGoodbye(conn, l.refusal)
}

// Close ends Accept; a second one does nothing.
func (l *sharedListener) Close() error {
	l.once.Do(func() {
		close(l.done)
		l.file.Close()
	})
	return nil
}

// Addr is the address of the shared socket.
func (l *sharedListener) Addr() net.Addr { return l.address }
