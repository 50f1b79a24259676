package socket

import (
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/antano/antano/plugin"
	"github.com/antano/antano/shared"
)

// errTaken: a sibling took the connection.
var errTaken = errors.New("a sibling took the connection")

// listener accepts from one socket that it shares with its siblings, or tells when
// datagrams wait there.
type listener struct {
	service  *SocketService
	name     string
	file     *os.File
	raw      syscall.RawConn
	callback func(conn int, from unix.Sockaddr)
	accept   func() (conn int, from unix.Sockaddr, err error)
	round    round
	spare    int // a descriptor kept to be able to refuse when there are none left; -1 without
	gate     gate
	gone     chan struct{} // closed when run has ended
}

func newListener(s *SocketService, sock plugin.Socket, callback func(int, unix.Sockaddr)) (_ *listener, err error) {
	file, err := duplicate(sock)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			file.Close()
		}
	}()
	raw, err := file.SyscallConn()
	if err != nil {
		return nil, fmt.Errorf("use socket %s: %w", sock.Name, err)
	}
	l := &listener{service: s, name: sock.Name, file: file, raw: raw, callback: callback, spare: -1, gone: make(chan struct{})}
	kind, err := unix.GetsockoptInt(sock.FD, unix.SOL_SOCKET, unix.SO_TYPE)
	if err != nil {
		return nil, fmt.Errorf("use socket %s (descriptor %d): %w", sock.Name, sock.FD, err)
	}
	if kind == unix.SOCK_DGRAM {
		l.accept = func() (int, unix.Sockaddr, error) { return sock.FD, nil, l.awaitDatagram() }
		return l, nil
	}
	if err = tuneTCP(sock.FD); err != nil {
		return nil, fmt.Errorf("set up socket %s: %w", sock.Name, err)
	}
	l.accept = l.acceptNext
	l.openSpare()
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

// tuneTCP sets on the listener what its connections inherit.
func tuneTCP(fd int) error {
	family, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_DOMAIN)
	if err != nil || family == unix.AF_UNIX {
		return err
	}
	return errors.Join(
		unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1),
		unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_KEEPALIVE, 1),
		unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_KEEPIDLE, keepAliveIdle),
		unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_KEEPINTVL, keepAliveEvery),
		unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_KEEPCNT, keepAliveProbes),
	)
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
	defer l.end()
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
		case (err == unix.EMFILE || err == unix.ENFILE) && l.refuse():
			wait = 0
		default:
			wait = min(max(2*wait, 5*time.Millisecond), maxAcceptPause)
			l.service.host.Logger().Warn("cannot accept: trying again", "socket", l.name, "err", err, "wait", wait)
			if !l.service.pause(wait) {
				return
			}
		}
	}
}

func (l *listener) end() {
	l.file.Close()
	if l.spare >= 0 {
		unix.Close(l.spare)
	}
	l.service.mu.Lock()
	delete(l.service.listeners, l)
	l.service.mu.Unlock()
}

// acceptNext waits for a connection and takes it, unless it is left to siblings.
func (l *listener) acceptNext() (conn int, from unix.Sockaddr, err error) {
	leave := false
	rerr := l.raw.Read(func(fd uintptr) bool {
		if leave = l.service.host.AboveShare(); leave {
			return readable(int(fd))
		}
		conn, from, err = acceptNow(int(fd))
		return err != unix.EAGAIN
	})
	if rerr != nil {
		return -1, nil, ended(rerr)
	}
	if !leave {
		return conn, from, err
	}
	return l.acceptLate()
}

// acceptLate takes the connection that no sibling took within siblingPause.
func (l *listener) acceptLate() (conn int, from unix.Sockaddr, err error) {
	if !l.service.pause(siblingPause) {
		return -1, nil, os.ErrClosed
	}
	cerr := l.raw.Control(func(fd uintptr) { conn, from, err = acceptNow(int(fd)) })
	switch {
	case cerr != nil:
		return -1, nil, os.ErrClosed
	case err == unix.EAGAIN:
		return -1, nil, errTaken
	}
	return conn, from, err
}

// acceptNow takes a connection or returns EAGAIN. What went wrong with a
// connection that has gone meanwhile is skipped.
func acceptNow(fd int) (int, unix.Sockaddr, error) {
	for {
		conn, from, err := unix.Accept4(fd, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
		switch err {
		case unix.EINTR, unix.ECONNABORTED, unix.EPROTO:
			continue
		case unix.EMFILE, unix.ENFILE:
			// Said before looking whether there is a connection at all.
			if !readable(fd) {
				return -1, nil, unix.EAGAIN
			}
		}
		return conn, from, err
	}
}

// refuse answers a connection for which there is no descriptor, if no sibling takes
// it, and reports whether it got as far as to accept one.
func (l *listener) refuse() bool {
	if l.spare < 0 || !l.service.pause(siblingPause) {
		return false
	}
	unix.Close(l.spare)
	l.spare = -1
	defer l.openSpare()
	var err error
	cerr := l.raw.Control(func(fd uintptr) {
		var conn int
		if conn, _, err = acceptNow(int(fd)); err == nil {
			l.service.refuse(conn, shared.Errorf(shared.CodeOverloaded, "the service is out of descriptors: try again later"))
		}
	})
	return cerr == nil && (err == nil || err == unix.EAGAIN)
}

// openSpare tries to have a spare descriptor.
func (l *listener) openSpare() {
	fd, err := unix.Open("/dev/null", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		fd = -1
	}
	l.spare = fd
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
