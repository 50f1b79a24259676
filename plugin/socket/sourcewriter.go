package socket

import (
	"errors"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/antano/antano/plugin"
	"github.com/antano/antano/shared"
)

// Write sends each message as a datagram, through the socket that the source was
// heard on. A full socket, or with unix a full receiver, is retried by timer: the
// kernel does not say when there is room. Source: plugin.Writer.
func (src *source) Write(messages [][]byte, wait bool) (n int, err error) {
	for _, m := range messages {
		if src.interrupted.Load() {
			return n, plugin.ErrWouldBlock
		}
		err := src.send(m)
		if err == unix.EAGAIN {
			if wait {
				err = src.sendLater(m)
			}
			if !wait || src.interrupted.Load() && err == unix.EAGAIN {
				return n, plugin.ErrWouldBlock
			}
		}
		if err == nil {
			src.full = time.Time{}
		}
		if err != nil {
			return n, src.failure(err, len(m))
		}
		n += len(m)
	}
	return n, nil
}

// Interrupt ends a Write that waits, within maxRetryPause, and every later one at its
// start. Source: plugin.InterruptedWriter.
func (src *source) Interrupt() { src.interrupted.Store(true) }

// Close ends a Write that waits, and forgets the source. Source: plugin.Writer.
func (src *source) Close() error {
	if !src.closed.Swap(true) {
		src.slot.drop(src)
		src.release()
	}
	return nil
}

// drop takes a source out of the table, whose client is closed elsewhere.
func (sl *slot) drop(gone *source) {
	sl.mu.Lock()
	sl.unlink(gone.key, func(src *source) bool { return src == gone }, nil)
	sl.mu.Unlock()
}

func (src *source) send(m []byte) error {
	for refused := false; ; {
		if src.closed.Load() {
			return os.ErrClosed
		}
		_, err := unix.SendmsgN(src.slot.socket.FD, m, src.control, src.to, unix.MSG_NOSIGNAL|unix.MSG_DONTWAIT)
		switch {
		case err == unix.EINTR:
		case err == unix.ECONNREFUSED && src.slot.family != unix.AF_UNIX && !refused:
			refused = true // the fate of an earlier answer; this one was not sent
		default:
			return err
		}
	}
}

// sendLater retries until the receiver has been full for push_back: what comes then is
// refused at once, until it takes a datagram again.
func (src *source) sendLater(m []byte) error {
	if src.full.IsZero() {
		src.full = time.Now()
	}
	end := src.full.Add(src.slot.service.host.PushBack())
	for wait := time.Millisecond; ; wait = min(2*wait, maxRetryPause) {
		left := time.Until(end)
		if left <= 0 || src.interrupted.Load() {
			return unix.EAGAIN
		}
		if !src.slot.service.pause(min(wait, left)) {
			return os.ErrClosed
		}
		if err := src.send(m); err != unix.EAGAIN {
			return err
		}
	}
}

// failure says what an error of sendmsg means: of the message, or of the client.
func (src *source) failure(err error, size int) error {
	switch {
	case errors.Is(err, unix.EAGAIN), errors.Is(err, unix.ENOBUFS), errors.Is(err, unix.ENOMEM):
		return shared.Errorf(shared.CodeOverloaded, "%s takes no datagrams: its queue has been full for push_back, %s", src.address, src.slot.service.host.PushBack())
	case errors.Is(err, unix.EMSGSIZE):
		return shared.Errorf(shared.CodeTooLarge, "a datagram of %d bytes cannot be sent to %s: send less", size, src.address)
	case errors.Is(err, os.ErrClosed), src.slot.family == unix.AF_UNIX:
		return err
	}
	return shared.Errorf(shared.CodeNoSuchEntity, "%s cannot be reached: %v", src.address, err)
}
