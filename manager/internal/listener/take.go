package listener

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"golang.org/x/sys/unix"
)

// Take makes a Group of sockets that an earlier manager opened for the given address,
// as its Address said. They are the group's from then on; with an error, which says
// which of them is not what it should be, they stay the caller's.
func Take(address string, sockets []Socket) (*Group, error) {
	if len(sockets) == 0 {
		return nil, fmt.Errorf("take over the sockets of %s: there are none", address)
	}
	for _, s := range sockets {
		if err := check(address, s); err != nil {
			return nil, fmt.Errorf("take over socket %s of %s: %w", s.Name, address, err)
		}
	}
	g := &Group{k: linux{}, address: address, sockets: sockets}
	if strings.HasPrefix(address, "/") {
		var st unix.Stat_t
		if err := unix.Lstat(address, &st); err == nil && st.Mode&unix.S_IFMT == unix.S_IFSOCK {
			g.file = &boundFile{path: address, dev: uint64(st.Dev), ino: st.Ino}
		}
	}
	return g, nil
}

// check says why a descriptor is not a socket of that address and name.
func check(address string, s Socket) error {
	bound, err := unix.Getsockname(s.FD)
	if err != nil {
		return err
	}
	if flags, err := unix.FcntlInt(uintptr(s.FD), unix.F_GETFL, 0); err != nil || flags&unix.O_NONBLOCK == 0 {
		return errors.Join(errors.New("it is blocking"), err)
	}
	if _, err := unix.FcntlInt(uintptr(s.FD), unix.F_SETFD, unix.FD_CLOEXEC); err != nil {
		return err
	}
	if file, ok := bound.(*unix.SockaddrUnix); ok {
		if file.Name != address {
			return fmt.Errorf("it is bound to %q", file.Name)
		}
		return nil
	}
	at, err := netip.ParseAddrPort(address)
	if err != nil {
		return err
	}
	if port := portOf(bound); port != at.Port() {
		return fmt.Errorf("it is bound to port %d", port)
	}
	return nil
}

// OpenPage maps a page that an earlier manager made. The descriptor is the page's from
// then on; with an error it stays the caller's.
func OpenPage(fd int) (*Page, error) {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return nil, fmt.Errorf("look at the share page: %w", err)
	}
	if st.Mode&unix.S_IFMT != unix.S_IFREG || st.Size != MaxRows*RowSize {
		return nil, fmt.Errorf("the share page has %d bytes, not %d", st.Size, MaxRows*RowSize)
	}
	if seals, err := unix.FcntlInt(uintptr(fd), unix.F_GET_SEALS, 0); err != nil || seals&unix.F_SEAL_SHRINK == 0 {
		return nil, errors.Join(errors.New("the share page can shrink"), err)
	}
	if _, err := unix.FcntlInt(uintptr(fd), unix.F_SETFD, unix.FD_CLOEXEC); err != nil {
		return nil, err
	}
	mem, err := unix.Mmap(fd, 0, int(st.Size), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("map the share page: %w", err)
	}
	return &Page{fd: fd, mem: mem}, nil
}
