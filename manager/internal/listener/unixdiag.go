package listener

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// What sock_diag(7) wants to know and says.
const (
	diagRequestSize = unix.NLMSG_HDRLEN + 24
	diagAnswerSize  = unix.NLMSG_HDRLEN + 16
	sockDiagByInode = 20 // SOCK_DIAG_BY_FAMILY
	showQueue       = 16 // UDIAG_SHOW_RQLEN
	attributeQueue  = 4  // UNIX_DIAG_RQLEN
	diagWait        = 100 * time.Millisecond
)

var errNoQueue = errors.New("the kernel does not tell the queue of a unix socket")

// unixQueue is how many connections wait at a listening Unix socket, and its backlog,
// which only sock_diag(7) tells. A kernel without it is an error.
func unixQueue(fd int) (waiting, limit uint32, err error) {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return 0, 0, err
	}
	link, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_SOCK_DIAG)
	if err != nil {
		return 0, 0, fmt.Errorf("%w: %w", errNoQueue, err)
	}
	defer unix.Close(link)
	limitTime := unix.NsecToTimeval(diagWait.Nanoseconds())
	if err := unix.SetsockoptTimeval(link, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &limitTime); err != nil {
		return 0, 0, err
	}
	if err := unix.Sendto(link, diagRequest(uint32(st.Ino)), 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return 0, 0, fmt.Errorf("%w: %w", errNoQueue, err)
	}
	answer := make([]byte, 4096)
	n, _, err := unix.Recvfrom(link, answer, 0)
	if err != nil {
		return 0, 0, fmt.Errorf("%w: %w", errNoQueue, err)
	}
	return diagAnswer(answer[:n])
}

// diagRequest asks after the socket with an inode, in any state.
func diagRequest(inode uint32) []byte {
	b := make([]byte, diagRequestSize)
	order := binary.NativeEndian
	order.PutUint32(b[0:], diagRequestSize)
	order.PutUint16(b[4:], sockDiagByInode)
	order.PutUint16(b[6:], unix.NLM_F_REQUEST)
	b[16] = unix.AF_UNIX
	order.PutUint32(b[20:], ^uint32(0)) // states
	order.PutUint32(b[24:], inode)
	order.PutUint32(b[28:], showQueue)
	order.PutUint64(b[32:], ^uint64(0)) // whatever its cookie
	return b
}

// diagAnswer finds the queue among the attributes of an answer.
func diagAnswer(b []byte) (waiting, limit uint32, err error) {
	order := binary.NativeEndian
	if len(b) < diagAnswerSize || order.Uint16(b[4:]) != sockDiagByInode {
		return 0, 0, errNoQueue
	}
	for b = b[diagAnswerSize:]; len(b) >= unix.SizeofRtAttr; {
		size := int(order.Uint16(b))
		if size < unix.SizeofRtAttr || size > len(b) {
			break
		}
		if order.Uint16(b[2:]) == attributeQueue && size >= unix.SizeofRtAttr+8 {
			return order.Uint32(b[4:]), order.Uint32(b[8:]), nil
		}
		b = b[min(len(b), (size+3)&^3):]
	}
	return 0, 0, errNoQueue
}
