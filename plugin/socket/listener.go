package socket

import (
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/antano/antano/plugin"
)

// listener accepts from one socket that it shares with its siblings, or tells when
// datagrams wait there.
type listener struct {
	acceptor
	service  *SocketService
	callback func(conn int, from unix.Sockaddr)
	accept   func() (conn int, from unix.Sockaddr, err error)
	round    round
	gate     gate
	gone     chan struct{} // closed when run has ended
}

func newListener(s *SocketService, sock plugin.Socket, callback func(int, unix.Sockaddr)) (_ *listener, err error) {
	l := &listener{service: s, callback: callback, gone: make(chan struct{})}
	if err := l.open(s.host, sock, s.pause); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			l.end()
		}
	}()
	kind, err := unix.GetsockoptInt(sock.FD, unix.SOL_SOCKET, unix.SO_TYPE)
	if err != nil {
		return nil, fmt.Errorf("use socket %s (descriptor %d): %w", sock.Name, sock.FD, err)
	}
	if kind == unix.SOCK_DGRAM {
		l.accept = func() (int, unix.Sockaddr, error) { return sock.FD, nil, l.awaitDatagram() }
		return l, nil
	}
	if err = l.prepare(sock.FD); err != nil {
		return nil, err
	}
	l.accept = l.next
	return l, nil
}

// awaitDatagram returns when a datagram waits.
func (l *listener) awaitDatagram() error {
	return ended(l.raw.Read(func(fd uintptr) bool { return readable(int(fd)) }))
}

// ended is what the end of a wait means: interrupted, or closed.
func ended(err error) error {
	if err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		return err
	}
	return os.ErrClosed
}

// close ends run; it may be called more than once.
func (l *listener) close() {
	l.file.Close()
	l.gate.open() // a loop that stands finds the file closed
}

// interrupt ends the wait of a loop that is to stand.
func (l *listener) interrupt() { l.file.SetReadDeadline(longAgo) }

// stand waits while others have the service's clients.
func (l *listener) stand() error {
	l.gate.stop()
	return l.file.SetReadDeadline(time.Time{}) // interrupt has set one
}

func (l *listener) run() {
	defer l.service.tasks.Done()
	defer close(l.gone)
	defer l.gate.end()
	defer l.forget()
	wait := time.Duration(0)
	for {
		// Asked after each deadline that was taken off, else it could be that of interrupt.
		for l.gate.wanted() {
			if l.stand() != nil {
				return
			}
		}
		conn, from, err := l.accept()
		switch {
		case err == nil:
			wait = 0
			l.round.begin()
			l.callback(conn, from)
			l.round.end()
		case errors.Is(err, errTaken):
		case errors.Is(err, os.ErrDeadlineExceeded):
			if l.stand() != nil {
				return
			}
		case errors.Is(err, os.ErrClosed), err == unix.EINVAL: // the manager ended it, for all
			return
		case outOfDescriptors(err) && l.refuse(l.service.refuseNow):
			wait = 0
		default:
			if wait = longer(wait); !l.retry(err, wait) {
				return
			}
		}
	}
}

func (l *listener) forget() {
	l.end()
	l.service.mu.Lock()
	delete(l.service.listeners, l)
	l.service.mu.Unlock()
}

// readable reports whether a read or accept would find something.
func readable(fd int) bool { return poll(fd, unix.POLLIN) != 0 }

// poll asks for events, and errors, without waiting.
func poll(fd int, events int16) int16 {
	p := []unix.PollFd{{Fd: int32(fd), Events: events}}
	for {
		n, err := unix.Poll(p, 0)
		if err == unix.EINTR {
			continue
		}
		if err != nil || n == 0 {
			return 0
		}
		return p[0].Revents
	}
}
