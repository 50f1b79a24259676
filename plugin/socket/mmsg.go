package socket

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// mmsghdr is the kernel's struct mmsghdr. Source: recvmmsg(2).
type mmsghdr struct {
	unix.Msghdr
	size uint32 // bytes of the datagram, once it was received or sent
}

// recvmmsg receives as many datagrams as there are and have room, without waiting. It
// returns at least one, or an error.
func recvmmsg(fd int, into []mmsghdr) (int, error) {
	return mmsg(unix.SYS_RECVMMSG, fd, into, unix.MSG_DONTWAIT|unix.MSG_TRUNC)
}

// sendmmsg sends as many datagrams as the socket takes without waiting. It returns at
// least one, or an error.
func sendmmsg(fd int, from []mmsghdr) (int, error) {
	return mmsg(unix.SYS_SENDMMSG, fd, from, unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL)
}

func mmsg(call uintptr, fd int, all []mmsghdr, flags uintptr) (int, error) {
	for {
		n, _, errno := unix.Syscall6(call, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(all))), uintptr(len(all)), flags, 0, 0)
		switch errno {
		case 0:
			return int(n), nil
		case unix.EINTR:
			continue
		}
		return 0, errno
	}
}
