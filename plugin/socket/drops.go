package socket

import (
	"time"
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

// dropsKept is how long a slot that is about to come has the count that came before it.
const dropsKept = 10 * time.Second

// drops is whose the kernel's drops on a slot are to count: who reads it counts those
// since another did, or since it was opened.
type drops struct {
	seen     uint32 // the kernel's count when last asked, or when another last counted
	counting bool
	left     bool      // was read here before
	kept     time.Time // until then seen is what came with a move
}

// seeDrops takes note of the socket's drops so far, and counts those since the last
// time when they are this process's to count. What a kernel without SO_MEMINFO does
// not tell is not counted.
func (sl *slot) seeDrops() {
	seen, err := kernelDrops(sl.socket.FD)
	if err != nil {
		return
	}
	sl.mu.Lock()
	n := int32(seen - sl.drops.seen)
	if n > 0 && (sl.drops.counting || time.Now().After(sl.drops.kept)) {
		sl.drops.seen = seen // else another call was told later and noted earlier
	}
	count := sl.drops.counting
	sl.mu.Unlock()
	if count && n > 0 {
		sl.service.host.CountDrop(shared.CodeKernel, int(n))
	}
}

// beginDrops counts from now on, what was dropped since the last look included: where
// nobody reads, the sweeper looks every sweepQuiet.
func (sl *slot) beginDrops() {
	sl.mu.Lock()
	left := sl.drops.left
	sl.mu.Unlock()
	if left { // others have counted meanwhile
		sl.seeDrops()
	}
	sl.mu.Lock()
	defer sl.mu.Unlock()
	sl.drops.left, sl.drops.counting, sl.drops.kept = true, true, time.Time{}
}

// endDrops leaves what is dropped from now on to another process, and returns what was
// counted so far.
func (sl *slot) endDrops() uint32 {
	sl.seeDrops()
	sl.mu.Lock()
	defer sl.mu.Unlock()
	sl.drops.counting = false
	return sl.drops.seen
}

// keepDrops takes over what another process counted so far, for a slot that is about to
// be read here.
func (sl *slot) keepDrops(seen uint32) {
	sl.mu.Lock()
	defer sl.mu.Unlock()
	if !sl.drops.counting {
		sl.drops.seen, sl.drops.kept = seen, time.Now().Add(dropsKept)
	}
}
