package socket

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// sockaddr is the address of a datagram's sender as the kernel writes and reads it, without
// the zero behind a path. It is empty for a unix sender without a name.
type sockaddr []byte

const (
	familySize  = 2   // in front of every address
	maxUnixName = 108 // sun_path
	maxSockaddr = familySize + maxUnixName
)

func (a sockaddr) family() int {
	if len(a) < familySize {
		return unix.AF_UNSPEC
	}
	return int(binary.NativeEndian.Uint16(a))
}

func newSockaddr(family uint16, size int) sockaddr {
	a := make(sockaddr, size)
	binary.NativeEndian.PutUint16(a, family)
	return a
}

func sockaddrIPv4(port uint16, ip [4]byte) sockaddr {
	a := newSockaddr(unix.AF_INET, unix.SizeofSockaddrInet4)
	binary.BigEndian.PutUint16(a[2:], port)
	copy(a[4:], ip[:])
	return a
}

func sockaddrIPv6(port uint16, ip [16]byte, zone uint32) sockaddr {
	a := newSockaddr(unix.AF_INET6, unix.SizeofSockaddrInet6)
	binary.BigEndian.PutUint16(a[2:], port)
	copy(a[8:], ip[:])
	binary.NativeEndian.PutUint32(a[24:], zone)
	return a
}

// sockaddrUnix makes an address of a path, or of an abstract name, which begins with a zero.
func sockaddrUnix(name []byte) sockaddr {
	a := newSockaddr(unix.AF_UNIX, familySize+len(name))
	copy(a[familySize:], name)
	return a
}

// name is what sockaddrUnix was given, empty for a sender without a name.
func (a sockaddr) name() []byte {
	if len(a) <= familySize {
		return nil
	}
	name := a[familySize:]
	if end := bytes.IndexByte(name, 0); end > 0 {
		name = name[:end]
	}
	return name
}

func (a sockaddr) port() uint16 { return binary.BigEndian.Uint16(a[2:]) }
func (a sockaddr) zone() uint32 { return binary.NativeEndian.Uint32(a[24:]) }

// remote is the address of an IP sender, else zero.
func (a sockaddr) remote() netip.AddrPort {
	switch {
	case a.family() == unix.AF_INET && len(a) >= unix.SizeofSockaddrInet4:
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte(a[4:8])), a.port())
	case a.family() == unix.AF_INET6 && len(a) >= unix.SizeofSockaddrInet6:
		ip := netip.AddrFrom16([16]byte(a[8:24]))
		if zone := a.zone(); zone != 0 {
			ip = ip.WithZone(strconv.FormatUint(uint64(zone), 10))
		}
		return netip.AddrPortFrom(ip.Unmap(), a.port())
	}
	return netip.AddrPort{}
}

// sourceKey tells sources of one socket apart. Only the first of those that differ
// in local alone is in the table, the others are chained to it.
type sourceKey struct {
	remote netip.AddrPort
	path   string // of a unix sender; an abstract name begins with a zero
}

func keyOf(from sockaddr) sourceKey {
	if from.family() == unix.AF_UNIX {
		return sourceKey{path: string(from.name())}
	}
	return sourceKey{remote: from.remote()}
}

// keyOfName is the key of what String returned.
func keyOfName(name string) sourceKey {
	if remote, err := netip.ParseAddrPort(name); err == nil {
		return sourceKey{remote: netip.AddrPortFrom(remote.Addr().Unmap(), remote.Port())}
	}
	if abstract, ok := strings.CutPrefix(name, "@"); ok {
		name = "\x00" + abstract
	}
	return sourceKey{path: name}
}

// String is the address for people, and for SendMessage.
func (k sourceKey) String() string {
	switch {
	case k.remote.IsValid():
		return k.remote.String()
	case k.path == "":
		return "unbound"
	case k.path[0] == 0:
		return "@" + k.path[1:]
	}
	return k.path
}
