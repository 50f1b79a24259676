package listener

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/antano/antano/shared"
)

// Given are the sockets that systemd, or whoever started the program, has opened for
// it. They stay open until Close, so that a service that is stopped and started finds
// its socket again. Safe for concurrent use. Source: docs/operating.md "Sockets from
// systemd", sd_listen_fds(3).
type Given struct {
	mu      sync.Mutex // guards what follows
	sockets []*givenSocket
}

type givenSocket struct {
	name    string // in LISTEN_FDNAMES
	fd      int
	network string // TCP, UDP or a socket type of Unix
	at      netip.AddrPort
	path    string // of a Unix socket
	used    bool
}

func (s *givenSocket) address() string {
	if s.path != "" {
		return s.path
	}
	return s.at.String()
}

// firstGiven is the first descriptor that LISTEN_FDS counts.
const firstGiven = 3

// TakeGiven takes the sockets that the environment announces for this process, and
// removes what announces them from it. A descriptor that is no socket which a service
// could use is an error, and then none is taken.
func TakeGiven() (*Given, error) { return takeGiven(firstGiven) }

func takeGiven(first int) (*Given, error) {
	pid, count, names := os.Getenv("LISTEN_PID"), os.Getenv("LISTEN_FDS"), strings.Split(os.Getenv("LISTEN_FDNAMES"), ":")
	for _, name := range []string{"LISTEN_PID", "LISTEN_PIDFDID", "LISTEN_FDS", "LISTEN_FDNAMES"} {
		if err := os.Unsetenv(name); err != nil {
			return nil, err
		}
	}
	g := &Given{}
	if pid != strconv.Itoa(os.Getpid()) {
		return g, nil // meant for somebody else
	}
	n, err := strconv.Atoi(count)
	if err != nil || n < 0 || n > 1<<16 {
		return nil, fmt.Errorf("LISTEN_FDS is %q, not how many sockets there are", count)
	}
	for i := range n {
		s := &givenSocket{fd: first + i, name: "unknown"}
		if i < len(names) && names[i] != "" {
			s.name = names[i]
		}
		if err := s.inspect(); err != nil {
			return nil, fmt.Errorf("descriptor %d (%s) of LISTEN_FDS cannot be used; remove it from the socket unit: %w", s.fd, s.name, err)
		}
		g.sockets = append(g.sockets, s)
	}
	return g, nil
}

// inspect finds out what the descriptor is.
func (s *givenSocket) inspect() error {
	typ, err := unix.GetsockoptInt(s.fd, unix.SOL_SOCKET, unix.SO_TYPE)
	if err != nil {
		return fmt.Errorf("it is no socket: %w", err)
	}
	if _, err := unix.FcntlInt(uintptr(s.fd), unix.F_SETFD, unix.FD_CLOEXEC); err != nil {
		return err
	}
	if err := unix.SetNonblock(s.fd, true); err != nil {
		return err
	}
	listens, err := unix.GetsockoptInt(s.fd, unix.SOL_SOCKET, unix.SO_ACCEPTCONN)
	if err != nil {
		return err
	}
	if typ != unix.SOCK_DGRAM && listens == 0 {
		return errors.New("it does not listen; a socket unit must have Accept=no")
	}
	bound, err := unix.Getsockname(s.fd)
	if err != nil {
		return err
	}
	switch sa := bound.(type) {
	case *unix.SockaddrUnix:
		if !strings.HasPrefix(sa.Name, "/") {
			return fmt.Errorf("it is bound to %q, not to an absolute path", sa.Name)
		}
		s.path = sa.Name
		for name, t := range unixTypes {
			if t == typ {
				s.network = name
			}
		}
	case *unix.SockaddrInet4:
		s.at = netip.AddrPortFrom(netip.AddrFrom4(sa.Addr), uint16(sa.Port))
	case *unix.SockaddrInet6:
		s.at = netip.AddrPortFrom(netip.AddrFrom16(sa.Addr).Unmap(), uint16(sa.Port))
	default:
		return fmt.Errorf("its address is a %T", bound)
	}
	if s.path == "" {
		s.network = map[int]string{unix.SOCK_STREAM: TCP, unix.SOCK_DGRAM: UDP}[typ]
	}
	if s.network == "" {
		return fmt.Errorf("its type is %d", typ)
	}
	return nil
}

// Bind is the package's Bind for a service whose socket is among those given: the one at
// its address, where `::` without IPV6_V6ONLY is every address, or with port 0 the one
// that has its name. Without one, group and error are nil. A socket with the service's
// name and another address is an error.
func (g *Given) Bind(name string, port int, address, network string, backlog int) (*Group, error) {
	if g == nil || len(g.sockets) == 0 {
		return nil, nil
	}
	ip, err := resolve(address)
	if err != nil {
		return nil, err
	}
	want := netip.AddrPortFrom(ip, uint16(port))
	s, err := g.find(name, network, want.String(), func(s *givenSocket) bool {
		return s.covers(ip) && (s.at.Port() == want.Port() || port == 0 && s.name == name)
	})
	if s == nil || err != nil {
		return nil, err
	}
	group := &Group{k: linux{}, address: netip.AddrPortFrom(ip, s.at.Port()).String(), given: true}
	if network == TCP {
		err = group.share("tcp", s.fd, backlog)
	} else {
		err = group.shareSlots(s, ip)
	}
	return group.orClose(s, err)
}

// BindUnixSocket is Bind for the socket at a path. Its mode stays as it is.
func (g *Given) BindUnixSocket(name, file, socketType string, backlog int) (*Group, error) {
	s, err := g.find(name, socketType, file, func(s *givenSocket) bool { return s.path == file })
	if s == nil || err != nil {
		return nil, err
	}
	group := &Group{k: linux{}, address: file, given: true}
	if socketType == shared.SocketDgram {
		backlog = -1
	}
	return group.orClose(s, group.share("unix", s.fd, backlog))
}

func (g *Group) orClose(s *givenSocket, err error) (*Group, error) {
	if err != nil {
		g.Close()
		return nil, fmt.Errorf("use socket %s (%s) that was given: %w", s.name, s.address(), err)
	}
	return g, nil
}

// find looks for the socket of a service and marks it as used.
func (g *Given) find(name, network, want string, fits func(*givenSocket) bool) (*givenSocket, error) {
	if g == nil {
		return nil, nil
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, s := range g.sockets {
		if s.network == network && fits(s) {
			s.used = true
			return s, nil
		}
	}
	for _, s := range g.sockets {
		if s.name == name {
			return nil, fmt.Errorf("socket %s that was given is %s %s, and the service is %s %s; change the socket unit or the row", s.name, s.network, s.address(), network, want)
		}
	}
	return nil, nil
}

// covers reports whether what comes to an address comes to the socket.
func (s *givenSocket) covers(ip netip.Addr) bool {
	if s.path != "" {
		return false
	}
	if s.at.Addr() == ip {
		return true
	}
	only, err := unix.GetsockoptInt(s.fd, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY)
	return err == nil && only == 0 && s.at.Addr() == netip.IPv6Unspecified() && ip == netip.IPv4Unspecified()
}

// share adds a duplicate of a given socket; a backlog below 0 leaves it alone.
func (g *Group) share(name string, fd, backlog int) error {
	dup, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return err
	}
	g.add(name, dup)
	if backlog == 0 {
		backlog = DefaultBacklog
	}
	if backlog < 0 {
		return nil
	}
	return g.k.listen(dup, backlog)
}

// shareSlots adds a given UDP socket as the first slot, and opens the others beside it.
func (g *Group) shareSlots(s *givenSocket, ip netip.Addr) error {
	if shares, err := unix.GetsockoptInt(s.fd, unix.SOL_SOCKET, unix.SO_REUSEPORT); err != nil || shares == 0 {
		return errors.Join(fmt.Errorf("udp needs %d sockets on the port; set ReusePort=yes in the socket unit", Slots), err)
	}
	sa, domain, err := sockaddr(s.at)
	if err != nil {
		return err
	}
	if err := g.share("slot-0", s.fd, -1); err != nil {
		return err
	}
	if err := g.receiveOptions(g.sockets[0].FD, domain, ip); err != nil {
		return err
	}
	for i := 1; i < Slots; i++ {
		fd, err := g.k.socket(domain, unix.SOCK_DGRAM, 0)
		if err != nil {
			return err
		}
		g.add(fmt.Sprintf("slot-%d", i), fd)
		if err := g.datagramOptions(fd, domain, ip); err != nil {
			return err
		}
		if err := g.k.set(fd, unix.SOL_SOCKET, unix.SO_REUSEPORT, 1); err != nil {
			return err
		}
		if err := g.k.bind(fd, sa); err != nil {
			return fmt.Errorf("open another socket beside it: %w", err)
		}
	}
	return nil
}

// Claim marks the sockets of a group that an earlier manager had as given, where they
// are, so that they are not the group's to end.
func (g *Given) Claim(group *Group) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, s := range g.sockets {
		for _, held := range group.sockets {
			if a, b := cookie(s.fd), cookie(held.FD); a != 0 && a == b {
				s.used, group.given, group.file = true, true, nil
			}
		}
	}
}

// cookie tells a socket from every other, whatever its descriptor; 0 when it cannot be
// asked.
func cookie(fd int) uint64 {
	c, err := unix.GetsockoptUint64(fd, unix.SOL_SOCKET, unix.SO_COOKIE)
	if err != nil {
		return 0
	}
	return c
}

// Unused are the sockets that no service has, for people: `name (tcp 0.0.0.0:80)`.
func (g *Given) Unused() (names []string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, s := range g.sockets {
		if !s.used {
			names = append(names, fmt.Sprintf("%s (%s %s)", s.name, s.network, s.address()))
		}
	}
	return names
}

// Announce leaves the sockets to a binary that this process is about to execute: it
// returns the environment for that, and what takes it back when it fails.
func (g *Given) Announce() (env []string, undo func()) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.sockets) == 0 {
		return nil, func() {}
	}
	inherit := func(flag int) {
		for _, s := range g.sockets {
			_, _ = unix.FcntlInt(uintptr(s.fd), unix.F_SETFD, flag)
		}
	}
	inherit(0)
	var names []string
	for _, s := range g.sockets {
		names = append(names, s.name)
	}
	return []string{"LISTEN_PID=" + strconv.Itoa(os.Getpid()), "LISTEN_FDS=" + strconv.Itoa(len(names)), "LISTEN_FDNAMES=" + strings.Join(names, ":")},
		func() { inherit(unix.FD_CLOEXEC) }
}

// Close closes all of them; groups keep theirs.
func (g *Given) Close() {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, s := range g.sockets {
		_ = unix.Close(s.fd)
	}
	g.sockets = nil
}
