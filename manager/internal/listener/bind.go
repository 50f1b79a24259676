package listener

import (
	"errors"
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"
)

// receiveBuffer is what each UDP slot may hold while nobody reads it.
const receiveBuffer = 4 << 20

// Bind opens the sockets of a service on a port: one listening socket for TCP, 64
// slots that share the port for UDP. address is an IP address, a host name (resolved
// for at most 5 s, IPv4 first) or empty for all interfaces; `::` takes IPv4 too.
// Port 0 lets the kernel choose; backlog 0 is DefaultBacklog. A port in use is an
// error that wraps EADDRINUSE. Source: the seed's bind.
func Bind(port int, address, network string, backlog int) (*Group, error) {
	return bind(linux{}, port, address, network, backlog)
}

func bind(k kernel, port int, address, network string, backlog int) (*Group, error) {
	if port < 0 || port > 65535 {
		return nil, fmt.Errorf("port %d is out of range; use 0 to 65535", port)
	}
	if network != TCP && network != UDP {
		return nil, fmt.Errorf("network %q is unknown; use tcp or udp", network)
	}
	ip, err := resolve(address)
	if err != nil {
		return nil, err
	}
	g, err := bindIP(k, netip.AddrPortFrom(ip, uint16(port)), network, backlog)
	if address == "" && (errors.Is(err, unix.EAFNOSUPPORT) || errors.Is(err, unix.EADDRNOTAVAIL)) {
		// No IPv6 on this machine: all interfaces are those of IPv4.
		g, err = bindIP(k, netip.AddrPortFrom(netip.IPv4Unspecified(), uint16(port)), network, backlog)
	}
	return g, err
}

func bindIP(k kernel, at netip.AddrPort, network string, backlog int) (g *Group, err error) {
	g = &Group{k: k}
	step := "open"
	defer func() {
		if err != nil {
			g.Close()
			g, err = nil, explain(network, at, step, err)
		}
	}()
	sa, domain, err := sockaddr(at)
	if err != nil {
		return g, err
	}
	if network == TCP {
		step, err = g.listenTCP(sa, domain, backlog)
	} else {
		step, err = g.openSlots(sa, domain, at.Addr())
	}
	if err != nil {
		return g, err
	}
	step = "ask the address of"
	bound, err := k.name(g.sockets[0].FD)
	if err != nil {
		return g, err
	}
	g.address = netip.AddrPortFrom(at.Addr(), portOf(bound)).String()
	return g, nil
}

func (g *Group) listenTCP(sa unix.Sockaddr, domain, backlog int) (step string, err error) {
	fd, err := g.k.socket(domain, unix.SOCK_STREAM, 0)
	if err != nil {
		return "open", err
	}
	g.add(TCP, fd)
	if err := g.options(fd, domain); err != nil {
		return "configure", err
	}
	if err := g.k.set(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1); err != nil {
		return "configure", err
	}
	if err := g.k.bind(fd, sa); err != nil {
		return "bind", err
	}
	if backlog <= 0 {
		backlog = DefaultBacklog
	}
	return "listen on", g.k.listen(fd, backlog)
}

// openSlots binds the first slot alone, so that a port in use is an error even when
// its owner shares it, and only then lets the other slots join it. The port is
// never free in between.
func (g *Group) openSlots(sa unix.Sockaddr, domain int, ip netip.Addr) (step string, err error) {
	for i := range Slots {
		fd, err := g.k.socket(domain, unix.SOCK_DGRAM, 0)
		if err != nil {
			return "open", err
		}
		g.add(fmt.Sprintf("slot-%d", i), fd)
		if err := g.datagramOptions(fd, domain, ip); err != nil {
			return "configure", err
		}
		if i > 0 {
			if err := g.k.set(fd, unix.SOL_SOCKET, unix.SO_REUSEPORT, 1); err != nil {
				return "configure", err
			}
		}
		if err := g.k.bind(fd, sa); err != nil {
			return "bind", err
		}
		if i > 0 {
			continue
		}
		if err := g.k.set(fd, unix.SOL_SOCKET, unix.SO_REUSEPORT, 1); err != nil {
			return "configure", err
		}
		bound, err := g.k.name(fd)
		if err != nil {
			return "ask the address of", err
		}
		setPort(sa, portOf(bound))
	}
	return "", nil
}

func (g *Group) datagramOptions(fd, domain int, ip netip.Addr) error {
	if err := g.options(fd, domain); err != nil {
		return err
	}
	return g.receiveOptions(fd, domain, ip)
}

// receiveOptions can be set on a bound socket too.
func (g *Group) receiveOptions(fd, domain int, ip netip.Addr) error {
	if g.k.set(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, receiveBuffer) != nil {
		if err := g.k.set(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, receiveBuffer); err != nil {
			return err
		}
	}
	if err := g.k.set(fd, unix.SOL_SOCKET, unix.SO_RXQ_OVFL, 1); err != nil {
		return err
	}
	if !ip.IsUnspecified() {
		return nil
	}
	if domain == unix.AF_INET6 {
		return g.k.set(fd, unix.IPPROTO_IPV6, unix.IPV6_RECVPKTINFO, 1)
	}
	return g.k.set(fd, unix.IPPROTO_IP, unix.IP_PKTINFO, 1)
}

// options makes `::` take IPv4 whatever the machine's default is.
func (g *Group) options(fd, domain int) error {
	if domain != unix.AF_INET6 {
		return nil
	}
	return g.k.set(fd, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, 0)
}

// explain turns an errno into a sentence that says what to change.
func explain(network string, at netip.AddrPort, step string, err error) error {
	switch {
	case errors.Is(err, unix.EADDRINUSE):
		return fmt.Errorf("%s address %s is in use by another process; stop it or change port: %w", network, at, err)
	case errors.Is(err, unix.EADDRNOTAVAIL):
		return fmt.Errorf("%s address %s is not an address of this machine; change host: %w", network, at, err)
	case step == "bind" && (errors.Is(err, unix.EACCES) || errors.Is(err, unix.EPERM)):
		return fmt.Errorf("%s address %s is not allowed to this user; use a port from 1024 or grant CAP_NET_BIND_SERVICE: %w", network, at, err)
	case errors.Is(err, unix.EMFILE), errors.Is(err, unix.ENFILE):
		return fmt.Errorf("%s address %s needs more descriptors than are allowed; raise the limit (ulimit -n): %w", network, at, err)
	}
	return fmt.Errorf("cannot %s the socket for %s address %s; change host or port: %w", step, network, at, err)
}
