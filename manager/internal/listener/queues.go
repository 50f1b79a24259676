package listener

import (
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Queue is what waits in the kernel at the sockets of one name. What it does not tell
// is negative.
type Queue struct {
	Name    string // "tcp", "unix", "slots"
	Sockets int
	// AcceptQueue counts the connections that nobody has accepted yet, of at most
	// AcceptLimit.
	AcceptQueue, AcceptLimit int
	// ReceiveBytes counts the memory of datagrams that nobody has read yet, of at most
	// ReceiveLimit, of a Unix socket the length of the next one. Drops counts those
	// that the kernel discarded since the sockets were opened.
	ReceiveBytes, ReceiveLimit, Drops int
}

// Queues asks the kernel. Safe for concurrent use; none after Close.
func (g *Group) Queues() []Queue {
	g.mu.RLock()
	defer g.mu.RUnlock()
	var queues []Queue
	for _, s := range g.sockets {
		name := s.Name
		if strings.HasPrefix(name, "slot-") {
			name = "slots"
		}
		if n := len(queues); n == 0 || queues[n-1].Name != name {
			queues = append(queues, Queue{Name: name, AcceptQueue: -1, AcceptLimit: -1, ReceiveBytes: -1, ReceiveLimit: -1, Drops: -1})
		}
		q := &queues[len(queues)-1]
		q.Sockets++
		q.look(s.FD)
	}
	return queues
}

// look adds what waits at one socket.
func (q *Queue) look(fd int) {
	listening, _ := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ACCEPTCONN)
	family, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_DOMAIN)
	switch {
	case err != nil:
	case listening == 1 && family == unix.AF_UNIX:
		if waiting, limit, err := unixQueue(fd); err == nil {
			add(&q.AcceptQueue, int(waiting))
			add(&q.AcceptLimit, int(limit))
		}
	case listening == 1:
		// For a listening socket these two fields are its queue and its backlog.
		if info, err := unix.GetsockoptTCPInfo(fd, unix.IPPROTO_TCP, unix.TCP_INFO); err == nil {
			add(&q.AcceptQueue, int(info.Unacked))
			add(&q.AcceptLimit, int(info.Sacked))
		}
	case family == unix.AF_UNIX:
		if n, err := unix.IoctlGetInt(fd, unix.TIOCINQ); err == nil {
			add(&q.ReceiveBytes, n)
		}
	default:
		if m, err := memory(fd); err == nil {
			add(&q.ReceiveBytes, int(m[0]))
			add(&q.ReceiveLimit, int(m[1]))
			add(&q.Drops, int(m[8]))
		}
	}
}

// add adds to a number that was not known.
func add(sum *int, n int) { *sum = max(*sum, 0) + n }

// memory is what SO_MEMINFO tells: 0 is the memory of what waits to be read, 1 its
// limit, 8 what was discarded. Source: sock_diag(7).
func memory(fd int) (m [9]uint32, err error) {
	size := uint32(unsafe.Sizeof(m))
	_, _, errno := unix.Syscall6(unix.SYS_GETSOCKOPT, uintptr(fd), unix.SOL_SOCKET, unix.SO_MEMINFO,
		uintptr(unsafe.Pointer(&m)), uintptr(unsafe.Pointer(&size)), 0)
	if errno != 0 {
		return m, errno
	}
	return m, nil
}
