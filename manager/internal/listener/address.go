package listener

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// resolveTimeout bounds the look-up of a host name.
const resolveTimeout = 5 * time.Second

// Address is that of the Group which Bind would make of host and port; port 0 stays.
func Address(host string, port int) (string, error) {
	ip, err := resolve(host)
	return netip.AddrPortFrom(ip, uint16(port)).String(), err
}

func resolve(host string) (netip.Addr, error) {
	if host == "" {
		return netip.IPv6Unspecified(), nil
	}
	if ip, err := netip.ParseAddr(host); err == nil {
		return ip.Unmap(), nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), resolveTimeout)
	defer cancel()
	found, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return netip.Addr{}, fmt.Errorf("host %q cannot be resolved; write an IP address as host: %w", host, err)
	}
	for _, ip := range found {
		if ip = ip.Unmap(); ip.Is4() {
			return ip, nil
		}
	}
	return found[0], nil
}

func sockaddr(at netip.AddrPort) (sa unix.Sockaddr, domain int, err error) {
	ip := at.Addr()
	if ip.Is4() {
		return &unix.SockaddrInet4{Port: int(at.Port()), Addr: ip.As4()}, unix.AF_INET, nil
	}
	zone, err := zoneID(ip.Zone())
	if err != nil {
		return nil, 0, err
	}
	return &unix.SockaddrInet6{Port: int(at.Port()), Addr: ip.As16(), ZoneId: zone}, unix.AF_INET6, nil
}

func zoneID(zone string) (uint32, error) {
	if zone == "" {
		return 0, nil
	}
	if n, err := strconv.ParseUint(zone, 10, 32); err == nil {
		return uint32(n), nil
	}
	ifi, err := net.InterfaceByName(zone)
	if err != nil {
		return 0, fmt.Errorf("zone %q is not an interface of this machine: %w", zone, err)
	}
	return uint32(ifi.Index), nil
}

func portOf(sa unix.Sockaddr) uint16 {
	switch sa := sa.(type) {
	case *unix.SockaddrInet4:
		return uint16(sa.Port)
	case *unix.SockaddrInet6:
		return uint16(sa.Port)
	}
	return 0
}

func setPort(sa unix.Sockaddr, port uint16) {
	switch sa := sa.(type) {
	case *unix.SockaddrInet4:
		sa.Port = int(port)
	case *unix.SockaddrInet6:
		sa.Port = int(port)
	}
}
