package manager

import (
	"errors"
	"fmt"
	"net"
	"os"

	"golang.org/x/sys/unix"

	"github.com/antano/antano/manager/internal/launch"
	"github.com/antano/antano/manager/internal/relay"
	"github.com/antano/antano/manager/internal/runtimedir"
)

// ours reports whether a state is what this very process wrote before it executed the
// binary that it is now.
func ours(state runtimedir.State) bool {
	return state.Upgrade != nil && state.PID == os.Getpid() && state.StartTime == launch.OwnStartTime()
}

// descriptors are all that a binary executed in our place inherits: its lock, the
// sockets of the server, and those and the share pages of its services.
func (s *Server) descriptors() (*runtimedir.StateUpgrade, error) {
	u := &runtimedir.StateUpgrade{Lock: s.dir.LockFD()}
	for l, fd := range map[*net.UnixListener]*int{s.relayed: &u.Relay, s.controlled.UnixListener: &u.Control} {
		raw, err := l.SyscallConn()
		if err == nil {
			err = raw.Control(func(is uintptr) { *fd = int(is) })
		}
		if err != nil {
			return nil, fmt.Errorf("keep %s over an upgrade: %w", l.Addr(), err)
		}
	}
	for _, svc := range s.snapshot() {
		id := svc.plan().Params.ID
		u.Descriptors = append(u.Descriptors, runtimedir.StateSocket{Service: id, Name: "share", FD: svc.page.FD()})
		if g := svc.spec().group; g != nil {
			for _, d := range g.Sockets() {
				u.Descriptors = append(u.Descriptors, runtimedir.StateSocket{Service: id, Name: d.Name, FD: d.FD})
			}
		}
	}
	return u, nil
}

// pass has all of them stay open over an execution, or with unix.FD_CLOEXEC no more.
func pass(u *runtimedir.StateUpgrade, flag int) error {
	all := []int{u.Lock, u.Relay, u.Control}
	for _, d := range u.Descriptors {
		all = append(all, d.FD)
	}
	var errs []error
	for _, fd := range all {
		if fd <= 2 {
			continue // not there
		}
		if _, err := unix.FcntlInt(uintptr(fd), unix.F_SETFD, flag); err != nil {
			errs = append(errs, fmt.Errorf("keep descriptor %d over an upgrade: %w", fd, err))
		}
	}
	return errors.Join(errs...)
}

// receiveInherited gives each service what came over the execution for it, and closes
// what is for none.
func (s *Server) receiveInherited(u *runtimedir.StateUpgrade) {
	byService := make(map[int64][]relay.Socket)
	for _, d := range u.Descriptors {
		if s.inherited[d.Service] == nil {
			_ = unix.Close(d.FD)
			continue
		}
		byService[d.Service] = append(byService[d.Service], relay.Socket{Name: d.Name, FD: d.FD})
	}
	for id, sockets := range byService {
		if err := s.inherited[id].take(sockets); err != nil {
			s.cfg.Logger.Error("the sockets of a service did not come over the upgrade", "service", s.inherited[id].state.Name, "err", err)
		}
	}
}

// inheritedListener is a socket of our own that came over the execution, nil without one.
func (s *Server) inheritedListener(name string) *net.UnixListener {
	u := s.predecessor.Upgrade
	if u == nil {
		return nil
	}
	fd := map[string]int{runtimedir.Relay: u.Relay, runtimedir.Control: u.Control}[name]
	if fd <= 2 {
		return nil
	}
	bound, err := unix.Getsockname(fd)
	if at, ok := bound.(*unix.SockaddrUnix); err != nil || !ok || at.Name != s.dir.Socket(name) {
		return nil // whatever it is, it is not this socket
	}
	f := os.NewFile(uintptr(fd), name)
	defer f.Close()
	l, err := net.FileListener(f)
	if err != nil {
		s.cfg.Logger.Error("a socket did not come over the upgrade", "socket", name, "err", err)
		return nil
	}
	ul := l.(*net.UnixListener)
	ul.SetUnlinkOnClose(true)
	return ul
}
