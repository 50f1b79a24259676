package serve

import (
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// firstFD is the first inherited descriptor.
const firstFD = 3

// noFD stands for a descriptor that was not inherited.
const noFD = -1

// Inherited is what the manager handed down.
type Inherited struct {
	Sockets  []Socket
	Share    int      // the share page, or -1
	Lifeline int      // the lifeline, or -1
	unknown  []Socket // of a later version: kept from children, and not used
}

// inherit reads LISTEN_FDS and LISTEN_FDNAMES, and makes sure that children of this
// process inherit neither.
func inherit() (Inherited, error) {
	in, err := parseInherited(os.Getenv("LISTEN_FDS"), os.Getenv("LISTEN_FDNAMES"))
	if err != nil {
		return in, err
	}
	for _, d := range in.all() {
		if err := adopt(d); err != nil {
			return in, fmt.Errorf("inherited descriptor %d (%s): %w", d.FD, d.Name, err)
		}
	}
	for _, d := range in.unknown {
		unix.CloseOnExec(d.FD)
	}
	os.Unsetenv("LISTEN_FDS")
	os.Unsetenv("LISTEN_FDNAMES")
	return in, nil
}

// adopt checks that a descriptor is what its name says: an own one of the Go runtime
// may have its number when nothing was inherited.
func adopt(d Socket) error {
	var st unix.Stat_t
	if err := unix.Fstat(d.FD, &st); err != nil {
		return err
	}
	want := uint32(unix.S_IFSOCK)
	switch d.Name {
	case "share":
		want = unix.S_IFREG
	case "lifeline":
		want = unix.S_IFIFO
	}
	if st.Mode&unix.S_IFMT != want {
		return fmt.Errorf("has file type %#o, not %#o", st.Mode&unix.S_IFMT, want)
	}
	_, err := unix.FcntlInt(uintptr(d.FD), unix.F_SETFD, unix.FD_CLOEXEC)
	return err
}

func parseInherited(count, names string) (Inherited, error) {
	in := Inherited{Share: noFD, Lifeline: noFD}
	if count == "" {
		return in, nil
	}
	n, err := strconv.Atoi(count)
	if err != nil || n < 0 {
		return in, fmt.Errorf("LISTEN_FDS=%s is not a number of descriptors", count)
	}
	var list []string
	if n > 0 {
		list = strings.Split(names, ":")
	}
	if len(list) != n {
		return in, fmt.Errorf("LISTEN_FDS=%s, but LISTEN_FDNAMES=%s has %d names", count, names, len(list))
	}
	for i, name := range list {
		switch fd := firstFD + i; name {
		case "share":
			in.Share = fd
		case "lifeline":
			in.Lifeline = fd
		default:
			if isSocket(name) {
				in.Sockets = append(in.Sockets, Socket{name, fd})
			} else {
				in.unknown = append(in.unknown, Socket{name, fd})
			}
		}
	}
	return in, nil
}

// isSocket reports whether name is that of one of the service's sockets.
func isSocket(name string) bool {
	if name == "tcp" || name == "unix" {
		return true
	}
	number, ok := strings.CutPrefix(name, "slot-")
	n, err := strconv.Atoi(number)
	return ok && err == nil && n >= 0 && n < 64 && number == strconv.Itoa(n)
}

// all lists every descriptor that has a use.
func (in *Inherited) all() []Socket {
	list := append([]Socket(nil), in.Sockets...)
	if in.Share != noFD {
		list = append(list, Socket{"share", in.Share})
	}
	if in.Lifeline != noFD {
		list = append(list, Socket{"lifeline", in.Lifeline})
	}
	return list
}
