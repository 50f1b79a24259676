package socket

import (
	"encoding/binary"
	"net/netip"

	"golang.org/x/sys/unix"
)

// ancillary is what the kernel tells beside a datagram.
type ancillary struct {
	local   netip.Addr // the address asked; zero when not told
	ifindex uint32     // where it came in, for link-local addresses
}

// tuneUDP asks the kernel, on a wildcard socket, for the address asked. The setting
// is the socket's, the same for all who share it.
func (sl *slot) tuneUDP() error {
	fd := sl.socket.FD
	bound, err := unix.Getsockname(fd)
	if err != nil {
		return err
	}
	switch a := bound.(type) {
	case *unix.SockaddrInet4:
		if sl.local = netip.AddrFrom4(a.Addr).IsUnspecified(); sl.local {
			err = unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_PKTINFO, 1)
		}
	case *unix.SockaddrInet6:
		if sl.local = netip.AddrFrom16(a.Addr).IsUnspecified(); sl.local {
			err = unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_RECVPKTINFO, 1)
		}
	}
	return err
}

func parseAncillary(b []byte) (a ancillary) {
	for len(b) >= unix.SizeofCmsghdr {
		header, data, rest, err := unix.ParseOneSocketControlMessage(b)
		if err != nil {
			return a
		}
		switch {
		case header.Level == unix.IPPROTO_IP && header.Type == unix.IP_PKTINFO && len(data) >= unix.SizeofInet4Pktinfo:
			// ifindex, spec_dst (the local address to answer from), addr
			a.ifindex = binary.NativeEndian.Uint32(data)
			a.local = netip.AddrFrom4([4]byte(data[4:8]))
		case header.Level == unix.IPPROTO_IPV6 && header.Type == unix.IPV6_PKTINFO && len(data) >= unix.SizeofInet6Pktinfo:
			a.local = netip.AddrFrom16([16]byte(data[:16]))
			a.ifindex = binary.NativeEndian.Uint32(data[16:])
		}
		b = rest
	}
	return a
}

// answerFrom is the control message that sends from the address asked.
func (sl *slot) answerFrom(a ancillary) []byte {
	if !sl.local || !a.local.IsValid() {
		return nil
	}
	if sl.family == unix.AF_INET {
		return unix.PktInfo4(&unix.Inet4Pktinfo{Spec_dst: a.local.As4()})
	}
	info := unix.Inet6Pktinfo{Addr: a.local.As16()}
	if a.local.IsLinkLocalUnicast() {
		info.Ifindex = a.ifindex
	}
	return unix.PktInfo6(&info)
}
