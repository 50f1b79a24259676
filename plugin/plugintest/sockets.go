package plugintest

import (
	"fmt"
	"net/netip"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/antano/antano/plugin/internal/serve"
	"github.com/antano/antano/shared"
)

// slotCount is how many sockets share a UDP address.
const slotCount = 64

// sockets are what a manager would hand down: bound, listening and non-blocking.
type sockets struct {
	list    []serve.Socket
	address string
	reads   uint64 // the slots among them
}

func (s *sockets) slots() uint64 { return s.reads }

func (s *sockets) close() {
	for _, one := range s.list {
		unix.Close(one.FD)
	}
	s.list = nil
}

func openSockets(t shared.Transport, p *shared.ServiceParams, dir string) (s *sockets, err error) {
	s = &sockets{}
	defer func() {
		if err != nil {
			s.close()
		}
	}()
	switch t {
	case shared.TransportTCP:
		err = s.inet("tcp", unix.SOCK_STREAM)
	case shared.TransportUDP:
		s.reads = ^uint64(0)
		for i := 0; i < slotCount && err == nil; i++ {
			err = s.inet(fmt.Sprint("slot-", i), unix.SOCK_DGRAM)
		}
	case shared.TransportUnix:
		if p.Endpoint == "" {
			p.Endpoint = filepath.Join(dir, "service.sock")
		}
		err = s.unix(p)
	}
	return s, err
}

// inet adds a socket at the loopback address; all of them share the first one's port.
func (s *sockets) inet(name string, kind int) error {
	at := unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}
	if s.address != "" {
		at.Port = int(netip.MustParseAddrPort(s.address).Port())
	}
	fd, err := s.add(name, unix.AF_INET, kind)
	if err != nil {
		return err
	}
	if kind == unix.SOCK_DGRAM {
		if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEPORT, 1); err != nil {
			return fmt.Errorf("share the port of %s: %w", name, err)
		}
	}
	if err := unix.Bind(fd, &at); err != nil {
		return fmt.Errorf("bind %s: %w", name, err)
	}
	bound, err := unix.Getsockname(fd)
	if err != nil {
		return fmt.Errorf("address of %s: %w", name, err)
	}
	in, ok := bound.(*unix.SockaddrInet4)
	if !ok {
		return fmt.Errorf("address of %s is a %T", name, bound)
	}
	s.address = netip.AddrPortFrom(netip.AddrFrom4(in.Addr), uint16(in.Port)).String()
	return listen(fd, kind)
}

func (s *sockets) unix(p *shared.ServiceParams) error {
	kind := map[string]int{
		shared.SocketDgram: unix.SOCK_DGRAM, shared.SocketStream: unix.SOCK_STREAM, shared.SocketSeqpacket: unix.SOCK_SEQPACKET,
	}[p.SocketType]
	if kind == 0 {
		return fmt.Errorf("socket_type %q is none; use dgram, stream or seqpacket", p.SocketType)
	}
	if kind == unix.SOCK_DGRAM {
		s.reads = 1
	}
	fd, err := s.add("unix", unix.AF_UNIX, kind)
	if err != nil {
		return err
	}
	if err := unix.Bind(fd, &unix.SockaddrUnix{Name: p.Endpoint}); err != nil {
		return fmt.Errorf("bind %s: %w", p.Endpoint, err)
	}
	s.address = p.Endpoint
	return listen(fd, kind)
}

func (s *sockets) add(name string, family, kind int) (int, error) {
	fd, err := unix.Socket(family, kind|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, fmt.Errorf("socket %s: %w", name, err)
	}
	s.list = append(s.list, serve.Socket{Name: name, FD: fd})
	return fd, nil
}

func listen(fd, kind int) error {
	if kind == unix.SOCK_DGRAM {
		return nil
	}
	if err := unix.Listen(fd, 128); err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	return nil
}
