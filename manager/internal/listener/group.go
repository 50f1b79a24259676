package listener

import (
	"sync"

	"golang.org/x/sys/unix"
)

// The networks of Bind.
const (
	TCP = "tcp"
	UDP = "udp"
)

// Slots is how many sockets a UDP service has. Source: docs/architecture.md "Sockets".
const Slots = 64

// DefaultBacklog is the backlog of a socket whose params name none.
const DefaultBacklog = 4096

// Socket is a held descriptor and the name under which a process inherits it:
// "tcp", "unix", "slot-0" … "slot-63".
type Socket struct {
	Name string
	FD   int
}

// Group is the sockets of one service.
type Group struct {
	k       kernel
	address string
	file    *boundFile // of a Unix socket that is ours
	given   bool       // somebody else has the sockets too, and goes on listening

	mu      sync.RWMutex // held over a look at the sockets, so that Close does not close them under it
	sockets []Socket
}

// Address is where the service listens, with the port that the kernel chose:
// host:port or a path.
func (g *Group) Address() string { return g.address }

// Sockets are the descriptors, which stay the group's.
func (g *Group) Sockets() []Socket { return g.sockets }

// Refuse makes every process that has them stop listening on the stream sockets:
// connections are refused from now on, and those that nobody accepted are reset.
// Datagram sockets take datagrams until every process has closed them.
// Sockets that were given stay: connections wait there for the next process.
func (g *Group) Refuse() {
	if g.given {
		return
	}
	for _, s := range g.sockets {
		if listens, err := unix.GetsockoptInt(s.FD, unix.SOL_SOCKET, unix.SO_ACCEPTCONN); err == nil && listens == 1 {
			_ = unix.Shutdown(s.FD, unix.SHUT_RDWR)
		}
	}
}

// Close removes a Unix socket's file if it is still ours, then closes every
// descriptor. Calling it again does nothing.
func (g *Group) Close() {
	// The kernel keeps the inode of a bound file while its socket is open, so the
	// inode proves whose file it is only before the descriptor is closed.
	if g.file != nil {
		g.file.remove()
		g.file = nil
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, s := range g.sockets {
		_ = g.k.close(s.FD)
	}
	g.sockets = nil
}

func (g *Group) add(name string, fd int) {
	g.sockets = append(g.sockets, Socket{name, fd})
}

// kernel is what this package asks of the operating system; tests let each call
// fail in turn.
type kernel interface {
	socket(domain, typ, proto int) (int, error)
	set(fd, level, option, value int) error
	bind(fd int, sa unix.Sockaddr) error
	listen(fd, backlog int) error
	name(fd int) (unix.Sockaddr, error)
	fchmod(fd int, mode uint32) error
	chmod(path string, mode uint32) error
	lstat(path string, st *unix.Stat_t) error
	close(fd int) error
}

type linux struct{}

func (linux) socket(domain, typ, proto int) (int, error) {
	return unix.Socket(domain, typ|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, proto)
}
func (linux) set(fd, level, option, value int) error {
	return unix.SetsockoptInt(fd, level, option, value)
}
func (linux) bind(fd int, sa unix.Sockaddr) error      { return unix.Bind(fd, sa) }
func (linux) listen(fd, backlog int) error             { return unix.Listen(fd, backlog) }
func (linux) name(fd int) (unix.Sockaddr, error)       { return unix.Getsockname(fd) }
func (linux) fchmod(fd int, mode uint32) error         { return unix.Fchmod(fd, mode) }
func (linux) lstat(path string, st *unix.Stat_t) error { return unix.Lstat(path, st) }
func (linux) close(fd int) error                       { return unix.Close(fd) }
func (linux) chmod(path string, mode uint32) error {
	err := unix.Fchmodat(unix.AT_FDCWD, path, mode, unix.AT_SYMLINK_NOFOLLOW)
	if err == unix.EOPNOTSUPP { // before Linux 6.6
		err = unix.Chmod(path, mode)
	}
	return err
}
