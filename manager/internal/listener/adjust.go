package listener

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// Adjust gives the sockets another backlog, and a Unix socket's file another mode, while
// they listen. backlog 0 is DefaultBacklog. After Close it does nothing.
func (g *Group) Adjust(mode uint32, backlog int) error {
	if backlog <= 0 {
		backlog = DefaultBacklog
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, s := range g.sockets {
		if listens, err := unix.GetsockoptInt(s.FD, unix.SOL_SOCKET, unix.SO_ACCEPTCONN); err != nil || listens == 0 {
			continue
		}
		if err := g.k.listen(s.FD, backlog); err != nil {
			return fmt.Errorf("cannot set the backlog of %s to %d: %w", g.address, backlog, err)
		}
	}
	if g.file == nil || len(g.sockets) == 0 {
		return nil
	}
	if err := g.k.chmod(g.file.path, mode); err != nil {
		return fmt.Errorf("cannot set the mode of unix socket %s to %#o; is it still there? %w", g.address, mode, err)
	}
	return nil
}
