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
// heard on, many with one system call. A full socket, or with unix a full receiver, is
// retried by timer: the kernel does not say when there is room. Source: plugin.Writer.
func (src *source) Write(messages [][]byte, wait bool) (n int, err error) {
	for len(messages) > 0 {
		if src.interrupted.Load() {
			return n, plugin.ErrWouldBlock
		}
		sent, err := src.send(messages)
		if err == unix.EAGAIN {
			if wait {
				sent, err = src.sendLater(messages)
			}
			if !wait || src.interrupted.Load() && err == unix.EAGAIN {
				return n, plugin.ErrWouldBlock
			}
		}
		if err != nil {
			return n, src.failure(err, len(messages[0]))
		}
		src.full = time.Time{}
		for _, m := range messages[:sent] {
			n += len(m)
		}
		messages = messages[sent:]
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

// send sends at least the first message, or says why not.
func (src *source) send(messages [][]byte) (sent int, err error) {
	for refused := false; ; {
		if src.closed.Load() {
			return 0, os.ErrClosed
		}
		sent, err = sendTo(src.slot.socket.FD, src.to, src.control, messages)
		if err != unix.ECONNREFUSED || src.slot.family == unix.AF_UNIX || refused {
			return sent, err
		}
		refused = true // the fate of an earlier answer; this one was not sent
	}
}

// sendLater retries until the receiver has been full for push_back: what comes then is
// refused at once, until it takes a datagram again.
func (src *source) sendLater(messages [][]byte) (sent int, err error) {
	if src.full.IsZero() {
		src.full = time.Now()
	}
	end := src.full.Add(src.slot.service.host.PushBack())
	for wait := time.Millisecond; ; wait = min(2*wait, maxRetryPause) {
		left := time.Until(end)
		if left <= 0 || src.interrupted.Load() {
			return 0, unix.EAGAIN
		}
		if !src.slot.service.pause(min(wait, left)) {
			return 0, os.ErrClosed
		}
		if sent, err = src.send(messages); err != unix.EAGAIN {
			return sent, err
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
