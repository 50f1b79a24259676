package socket

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"slices"

	"golang.org/x/sys/unix"
)

// sourceState is what a datagram source takes along.
type sourceState struct {
	slot    uint8
	from    sockaddr
	local   netip.Addr // the address it asked, on a wildcard socket
	ifindex uint32
	seen    int64 // when it was last heard, Unix nanoseconds; 0: not known
	// drops is how many of the slot's datagrams the kernel has dropped and somebody has
	// counted, if counted says so.
	drops   uint32
	counted bool
	parked  [][]byte // datagrams that were read and not taken
	author  []byte   // what Config.SaveClient returned
}

// How a state names an address.
const (
	addrNone = 0
	addrIPv4 = 4
	addrIPv6 = 6
	addrUnix = 1
)

func (s *sourceState) append(dst []byte) []byte {
	dst = append(dst, stateVersion, byte(kindSource), s.slot)
	dst = appendSockaddr(dst, s.from)
	dst = appendBytes(dst, s.local.AsSlice())
	dst = binary.BigEndian.AppendUint32(dst, s.ifindex)
	dst = binary.BigEndian.AppendUint64(dst, uint64(s.seen))
	dst = binary.BigEndian.AppendUint32(dst, s.drops)
	dst = appendBool(dst, s.counted)
	dst = appendMessages(dst, s.parked)
	return appendBytes(dst, s.author)
}

// parseSource reads what append wrote. Nothing is kept of f.
func parseSource(f *fields) (*sourceState, error) {
	s := &sourceState{slot: f.byte(), from: f.sockaddr()}
	if local := f.bytes(); local != nil {
		var ok bool
		s.local, ok = netip.AddrFromSlice(local)
		f.bad = f.bad || !ok
	}
	s.ifindex, s.seen = f.uint32(), f.int64()
	s.drops, s.counted = f.uint32(), f.bool()
	s.parked, s.author = f.messages(), f.bytes()
	if err := f.end(); err != nil {
		return nil, err
	}
	empty := slices.ContainsFunc(s.parked, func(m []byte) bool { return len(m) == 0 })
	if s.slot > 63 || s.seen < 0 || empty {
		return nil, errState
	}
	return s, nil
}

func appendSockaddr(dst []byte, from sockaddr) []byte {
	switch from.family() {
	case unix.AF_INET:
		dst = binary.BigEndian.AppendUint16(append(dst, addrIPv4), from.port())
		return append(dst, from[4:8]...)
	case unix.AF_INET6:
		dst = binary.BigEndian.AppendUint16(append(dst, addrIPv6), from.port())
		dst = append(dst, from[8:24]...)
		return binary.BigEndian.AppendUint32(dst, from.zone())
	}
	if name := from.name(); len(name) > 0 {
		start := len(dst) + 1 + 4
		if dst = appendBytes(append(dst, addrUnix), name); name[0] == 0 {
			dst[start] = '@'
		}
		return dst
	}
	return append(dst, addrNone)
}

func (f *fields) sockaddr() sockaddr {
	switch f.byte() {
	case addrNone:
		return nil
	case addrIPv4:
		port := f.port()
		var ip [4]byte
		copy(ip[:], f.take(len(ip)))
		return sockaddrIPv4(port, ip)
	case addrIPv6:
		port := f.port()
		var ip [16]byte
		copy(ip[:], f.take(len(ip)))
		return sockaddrIPv6(port, ip, f.uint32())
	case addrUnix:
		return f.unixName()
	}
	f.bad = true
	return nil
}

// unixName reads a path, or an abstract name with an @ for its zero.
func (f *fields) unixName() sockaddr {
	name := f.bytes()
	switch {
	case len(name) == 0 || len(name) > maxUnixName:
		f.bad = true
	case name[0] == '@':
		name[0] = 0
	default:
		f.bad = f.bad || bytes.IndexByte(name, 0) >= 0
	}
	return sockaddrUnix(name)
}

func (f *fields) port() (port uint16) {
	if b := f.take(2); b != nil {
		port = binary.BigEndian.Uint16(b)
	}
	return port
}
