package manager

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// lifeline is a pipe that every process inherits the read end of. Nobody ever writes
// into it: its end of file says that the manager is gone, however that happened.
// Source: docs/protocol.md "Inherited descriptors".
type lifeline struct {
	child  int // read end
	parent int // write end, close-on-exec
}

func newLifeline() (lifeline, error) {
	var fds [2]int
	if err := unix.Pipe2(fds[:], unix.O_CLOEXEC|unix.O_NONBLOCK); err != nil {
		return lifeline{-1, -1}, fmt.Errorf("make the lifeline: %w", err)
	}
	return lifeline{fds[0], fds[1]}, nil
}

func (l lifeline) close() {
	_ = unix.Close(l.parent)
	_ = unix.Close(l.child)
}
