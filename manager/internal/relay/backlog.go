package relay

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// Backlog is how many bytes the kernel holds of a link: in is what the process has
// written and the manager has not read yet, out about what the manager has written and
// the process has not read. Both are 0 before the link is up and after it is down.
func (l *Link) Backlog() (in, out int) {
	select {
	case <-l.up:
	default:
		return 0, 0
	}
	conn, ok := l.conn.(syscall.Conn)
	if !ok {
		return 0, 0
	}
	raw, err := conn.SyscallConn()
	if err != nil {
		return 0, 0
	}
	_ = raw.Control(func(fd uintptr) { // fails once it is closed
		in, _ = unix.IoctlGetInt(int(fd), unix.TIOCINQ)
		out, _ = unix.IoctlGetInt(int(fd), unix.TIOCOUTQ)
	})
	return in, out
}
