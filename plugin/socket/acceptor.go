package socket

import (
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/antano/antano/plugin"
)

// errTaken: a sibling took the connection.
var errTaken = errors.New("a sibling took the connection")

// acceptor takes connections from a listening socket that all processes of the service
// share. One goroutine at a time uses it; file may be closed by any.
type acceptor struct {
	host  plugin.Host
	name  string
	file  *os.File
	raw   syscall.RawConn
	pause func(time.Duration) bool // waits; false when there is nothing to wait for any more
	spare int                      // a descriptor kept to be able to refuse when there are none left; -1 without
}

// open watches the socket; end undoes it.
func (a *acceptor) open(host plugin.Host, sock plugin.Socket, pause func(time.Duration) bool) error {
	file, err := duplicate(sock)
	if err != nil {
		return err
	}
	raw, err := file.SyscallConn()
	if err != nil {
		file.Close()
		return fmt.Errorf("use socket %s: %w", sock.Name, err)
	}
	*a = acceptor{host: host, name: sock.Name, file: file, raw: raw, pause: pause, spare: -1}
	return nil
}

// prepare sets on the listening socket what its connections inherit.
func (a *acceptor) prepare(fd int) error {
	if err := tuneTCP(fd); err != nil {
		return fmt.Errorf("set up socket %s: %w", a.name, err)
	}
	a.openSpare()
	return nil
}

func (a *acceptor) end() {
	a.file.Close()
	if a.spare >= 0 {
		unix.Close(a.spare)
		a.spare = -1
	}
}

// retry waits after an error that may pass, and reports whether to try again.
func (a *acceptor) retry(err error, wait time.Duration) bool {
	a.host.Logger().Warn("cannot accept: trying again", "socket", a.name, "err", err, "wait", wait)
	return a.pause(wait)
}

// longer is the next pause after one of wait.
func longer(wait time.Duration) time.Duration {
	return min(max(2*wait, 5*time.Millisecond), maxAcceptPause)
}

func outOfDescriptors(err error) bool {
	return errors.Is(err, unix.EMFILE) || errors.Is(err, unix.ENFILE)
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

// next waits for a connection and takes it, unless it is left to siblings.
func (a *acceptor) next() (conn int, from unix.Sockaddr, err error) {
	leave := false
	rerr := a.raw.Read(func(fd uintptr) bool {
		if leave = a.host.AboveShare(); leave {
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
	return a.late()
}

// late takes the connection that no sibling took within siblingPause.
func (a *acceptor) late() (conn int, from unix.Sockaddr, err error) {
	if !a.pause(siblingPause) {
		return -1, nil, os.ErrClosed
	}
	cerr := a.raw.Control(func(fd uintptr) { conn, from, err = acceptNow(int(fd)) })
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

// refuse takes a connection for which there is no descriptor, if no sibling does, and
// gives it to answer, which owns it. It reports whether it got as far as to accept one.
func (a *acceptor) refuse(answer func(conn int)) bool {
	if a.spare < 0 || !a.pause(siblingPause) {
		return false
	}
	unix.Close(a.spare)
	a.spare = -1
	defer a.openSpare()
	var err error
	cerr := a.raw.Control(func(fd uintptr) {
		var conn int
		if conn, _, err = acceptNow(int(fd)); err == nil {
			answer(conn)
		}
	})
	return cerr == nil && (err == nil || err == unix.EAGAIN)
}

// openSpare tries to have a spare descriptor.
func (a *acceptor) openSpare() {
	fd, err := unix.Open("/dev/null", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		fd = -1
	}
	a.spare = fd
}
