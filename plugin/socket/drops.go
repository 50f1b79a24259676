package socket

import (
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/antano/antano/shared"
)

// kernelDrops is how many datagrams the kernel has discarded on a socket since it was
// opened, whoever read it. Source: SO_MEMINFO, sock_diag(7).
func kernelDrops(fd int) (uint32, error) {
	const dropsIndex = 8 // SK_MEMINFO_DROPS
	var info [dropsIndex + 1]uint32
	size := uint32(unsafe.Sizeof(info))
	_, _, errno := unix.Syscall6(unix.SYS_GETSOCKOPT, uintptr(fd), unix.SOL_SOCKET, unix.SO_MEMINFO,
		uintptr(unsafe.Pointer(&info)), uintptr(unsafe.Pointer(&size)), 0)
	if errno != 0 {
		return 0, errno
	}
	return info[dropsIndex], nil
}

// seeDrops takes note of the socket's drops so far, and counts those since the last
// time when they are this process's to count. What a kernel without SO_MEMINFO does
// not tell is not counted.
func (sl *slot) seeDrops(count bool) {
	drops, err := kernelDrops(sl.socket.FD)
	if err != nil {
		return
	}
	sl.mu.Lock()
	n := int32(drops - sl.drops)
	if n > 0 { // else another call was told later and noted earlier
		sl.drops = drops
	}
	sl.mu.Unlock()
	if count && n > 0 {
		sl.service.host.CountDrop(shared.CodeKernel, int(n))
	}
}
