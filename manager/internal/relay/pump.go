package relay

import (
	"errors"
	"fmt"
	"io"
	"net"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	pumpBuffer = 64 << 10
	// maxDescriptors is how many may come at once. The kernel ends a read behind bytes
	// that brought some, so this bounds what one write of the process brings.
	maxDescriptors = 16
	// inFlightPause is the wait when too many descriptors wait to be received.
	inFlightPause = 5 * time.Millisecond
)

// pump copies bytes and descriptors from src to dst until src ends, which it passes
// on, or one of them breaks. A descriptor arrives no later than the byte that it
// was sent with. It owns neither connection.
func pump(dst, src *net.UnixConn) error {
	buf, oob := make([]byte, pumpBuffer), make([]byte, unix.CmsgSpace(4*maxDescriptors))
	for {
		n, oobn, flags, _, err := src.ReadMsgUnix(buf, oob)
		if n == 0 && (err == nil || errors.Is(err, io.EOF)) {
			_ = dst.CloseWrite()
			return nil
		}
		if err != nil {
			return fmt.Errorf("read: %w", err)
		}
		descriptors, err := received(oob[:oobn], flags)
		if err == nil {
			err = pass(dst, buf[:n], descriptors)
		}
		for _, fd := range descriptors {
			_ = unix.Close(fd)
		}
		if err != nil {
			return err
		}
	}
}

// received returns the descriptors of a read, also with an error: they are the
// caller's to close.
func received(oob []byte, flags int) ([]int, error) {
	if len(oob) == 0 && flags&unix.MSG_CTRUNC == 0 {
		return nil, nil
	}
	var descriptors []int
	messages, err := unix.ParseSocketControlMessage(oob)
	for i := range messages {
		fds, rightsErr := unix.ParseUnixRights(&messages[i])
		descriptors = append(descriptors, fds...)
		err = errors.Join(err, rightsErr)
	}
	switch {
	case err != nil:
		return descriptors, fmt.Errorf("read descriptors: %w", err)
	case flags&unix.MSG_CTRUNC != 0:
		return descriptors, fmt.Errorf("read descriptors: more than %d at once, or no room for them here", maxDescriptors)
	}
	return descriptors, nil
}

// pass writes p with the descriptors on its first byte.
func pass(dst *net.UnixConn, p []byte, descriptors []int) error {
	if len(descriptors) > 0 {
		n, err := passRights(dst, p, unix.UnixRights(descriptors...))
		if err != nil {
			return fmt.Errorf("write descriptors: %w", err)
		}
		p = p[n:]
	}
	if _, err := dst.Write(p); err != nil {
		return fmt.Errorf("write: %w", err)
	}
	return nil
}

// passRights writes as much of p as goes with rights. The kernel bounds the
// descriptors under way of one user: then it waits until some were received.
func passRights(dst *net.UnixConn, p, rights []byte) (int, error) {
	for {
		n, _, err := dst.WriteMsgUnix(p, rights, nil)
		if !errors.Is(err, syscall.ETOOMANYREFS) {
			return n, err
		}
		time.Sleep(inFlightPause)
	}
}
