package socket

import (
	"encoding/binary"
	"net/netip"
	"slices"

	"golang.org/x/sys/unix"
)

// sourceState is what a datagram source takes along.
type sourceState struct {
	slot    uint8
	from    unix.Sockaddr // nil or without a name for an unbound unix sender
	local   netip.Addr    // the address it asked, on a wildcard socket
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

func appendSockaddr(dst []byte, from unix.Sockaddr) []byte {
	switch a := from.(type) {
	case *unix.SockaddrInet4:
		dst = append(dst, addrIPv4)
		dst = binary.BigEndian.AppendUint16(dst, uint16(a.Port))
		return append(dst, a.Addr[:]...)
	case *unix.SockaddrInet6:
		dst = append(dst, addrIPv6)
		dst = binary.BigEndian.AppendUint16(dst, uint16(a.Port))
		dst = append(dst, a.Addr[:]...)
		return binary.BigEndian.AppendUint32(dst, a.ZoneId)
	case *unix.SockaddrUnix:
		if a.Name != "" {
			return appendBytes(append(dst, addrUnix), a.Name)
		}
	}
	return append(dst, addrNone)
}

func (f *fields) sockaddr() unix.Sockaddr {
	switch f.byte() {
	case addrNone:
		return nil
	case addrIPv4:
		a := &unix.SockaddrInet4{Port: f.port()}
		copy(a.Addr[:], f.take(len(a.Addr)))
		return a
	case addrIPv6:
		a := &unix.SockaddrInet6{Port: f.port()}
		copy(a.Addr[:], f.take(len(a.Addr)))
		a.ZoneId = f.uint32()
		return a
	case addrUnix:
		name := f.bytes()
		f.bad = f.bad || len(name) == 0 || len(name) > maxUnixName
		return &unix.SockaddrUnix{Name: string(name)}
	}
	f.bad = true
	return nil
}

// maxUnixName is how long sun_path can be.
const maxUnixName = 108

func (f *fields) port() (port int) {
	if b := f.take(2); b != nil {
		port = int(binary.BigEndian.Uint16(b))
	}
	return port
}
