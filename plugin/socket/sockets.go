package socket

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/antano/antano/plugin"
	"github.com/antano/antano/shared"
)

// slotUnix is the slot as which AssignSlots knows the socket of a unix dgram
// service.
const slotUnix = 0

// AddSockets serves further sockets, bound and (streams) listening, non-blocking:
// listening ones at once, datagram ones when AssignSlots says so. All sockets of a
// service are of one kind, since clients of one kind share framing and bounds: streams,
// seqpackets or datagrams, whichever it was started with, streams if with none. The
// descriptors stay the caller's, to be kept open until Close has returned. Source: the
// seed's add_sockets.
func (s *SocketService) AddSockets(sockets []plugin.Socket) error {
	for _, sock := range sockets {
		kind, err := unix.GetsockoptInt(sock.FD, unix.SOL_SOCKET, unix.SO_TYPE)
		if err != nil {
			return fmt.Errorf("add socket %s (descriptor %d): %w", sock.Name, sock.FD, err)
		}
		switch {
		case kind != s.kind:
			err = fmt.Errorf("add socket %s (descriptor %d): it is a %s and the service serves a %s: add sockets of one kind", sock.Name, sock.FD, kindNames[kind], kindNames[s.kind])
		case kind == unix.SOCK_DGRAM:
			err = s.addSlot(sock)
		default:
			err = s.watch(sock, s.connect)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

var kindNames = map[int]string{unix.SOCK_STREAM: "stream", unix.SOCK_SEQPACKET: "seqpacket", unix.SOCK_DGRAM: "datagram socket"}

// AddAcceptHandler watches a socket for the author. From a listening one it accepts the
// connections and gives each to callback, which owns the descriptor: non-blocking,
// closed on exec; from is a *net.TCPAddr or *net.UnixAddr. A datagram socket is given to
// callback itself, with from nil, whenever a datagram waits: callback takes at least one
// and does not close it; it is called again while more wait. callback must not block. Its
// panic is logged and counted, and costs that connection's descriptor. The
// socket stays the caller's, to be kept open until Close has returned. Source: the seed's
// add_accept_handler.
func (s *SocketService) AddAcceptHandler(sock plugin.Socket, callback func(conn int, from net.Addr)) error {
	return s.watch(sock, func(conn int, from unix.Sockaddr) {
		defer s.recovered("the callback of AddAcceptHandler", nil, "socket", sock.Name)
		if from == nil {
			callback(conn, nil)
			return
		}
		callback(conn, addressOf(from))
	})
}

func (s *SocketService) watch(sock plugin.Socket, callback func(conn int, from unix.Sockaddr)) error {
	l, err := newListener(s, sock, callback)
	if err != nil {
		return err
	}
	s.mu.Lock()
	ok := s.beginLocked()
	if ok {
		s.listeners[l] = struct{}{}
	}
	s.mu.Unlock()
	if !ok {
		l.close()
		return fmt.Errorf("accept on socket %s: %w", sock.Name, errNotServing)
	}
	go l.run()
	return nil
}

// addSlot makes a datagram socket known to AssignSlots.
func (s *SocketService) addSlot(sock plugin.Socket) error {
	number := slotUnix
	if n, ok := strings.CutPrefix(sock.Name, "slot-"); ok {
		var err error
		if number, err = strconv.Atoi(n); err != nil || number < 0 || number > 63 {
			return fmt.Errorf("add socket %s: slots are named slot-0 to slot-63", sock.Name)
		}
	}
	sl, err := newSlot(s, number, sock)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.serving {
		return fmt.Errorf("add socket %s: %w", sock.Name, errNotServing)
	}
	if s.slots[number] != nil {
		return fmt.Errorf("add socket %s: there is a slot %d already", sock.Name, number)
	}
	s.slots[number] = sl
	return nil
}

// endpointConfig describes the clients of the given sockets.
func (s *SocketService) endpointConfig(sockets []plugin.Socket) (plugin.EndpointConfig, error) {
	config := plugin.EndpointConfig{Frame: encoder(s.params.FramingOut, s.params.MessageFormatOut)}
	s.kind = unix.SOCK_STREAM
	if len(sockets) == 0 {
		return config, s.checkFraming()
	}
	fd := sockets[0].FD
	kind, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TYPE)
	if err != nil {
		return config, fmt.Errorf("serve socket %s (descriptor %d): %w", sockets[0].Name, fd, err)
	}
	family, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_DOMAIN)
	if err != nil {
		return config, fmt.Errorf("serve socket %s (descriptor %d): %w", sockets[0].Name, fd, err)
	}
	s.kind = kind
	switch {
	case kind == unix.SOCK_STREAM:
		err = s.checkFraming()
	case kind == unix.SOCK_SEQPACKET:
		config.Frame = appendPacket
		config.MaxFrame, err = newSocketSendLimit()
	case kind == unix.SOCK_DGRAM && family == unix.AF_UNIX:
		config.Frame, config.Datagram = nil, true
		config.MaxFrame, err = sendLimit(fd)
		s.batches = batches(s.params.Limits.MaxMessageBytes)
	case kind == unix.SOCK_DGRAM:
		config.Frame, config.Datagram = nil, true
		config.MaxFrame = maxUDPDatagram
		s.batches = batches(min(s.params.Limits.MaxMessageBytes, 1<<16))
	}
	return config, err
}

// checkFraming refuses what a line cannot carry.
func (s *SocketService) checkFraming() error {
	for _, d := range []struct {
		framing shared.Framing
		format  shared.FormatID
	}{{s.params.FramingIn, s.params.MessageFormatIn}, {s.params.FramingOut, s.params.MessageFormatOut}} {
		if d.framing == shared.FramingLine && shared.DefaultFraming(d.format) != shared.FramingLine {
			return plugin.ConfigError(fmt.Errorf("service %d: framing line cannot carry %s: use framing length32", s.params.ID, d.format))
		}
	}
	return nil
}

// unixOverhead is what the kernel keeps of SO_SNDBUF for itself on a unix packet.
const unixOverhead = 32

func sendLimit(fd int) (int, error) {
	n, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_SNDBUF)
	if err != nil {
		return 0, fmt.Errorf("ask the send buffer of descriptor %d: %w", fd, err)
	}
	return n - unixOverhead, nil
}

// newSocketSendLimit is the limit of an accepted unix socket, which takes nothing
// over from its listener.
func newSocketSendLimit() (int, error) {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, fmt.Errorf("ask the send buffer of a new unix socket: %w", err)
	}
	defer unix.Close(fd)
	return sendLimit(fd)
}

// duplicate makes a file of its own of an inherited descriptor, for the poller. The
// file must never see Fd, which would make the socket blocking for all processes.
func duplicate(sock plugin.Socket) (*os.File, error) {
	fd, err := unix.FcntlInt(uintptr(sock.FD), unix.F_DUPFD_CLOEXEC, 3)
	if err != nil {
		return nil, fmt.Errorf("duplicate socket %s (descriptor %d): %w", sock.Name, sock.FD, err)
	}
	flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0)
	if err == nil && flags&unix.O_NONBLOCK == 0 {
		err = errors.New("it is blocking: set O_NONBLOCK before it is handed over")
	}
	if err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("use socket %s (descriptor %d): %w", sock.Name, sock.FD, err)
	}
	return os.NewFile(uintptr(fd), sock.Name), nil
}
