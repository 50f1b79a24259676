package serve

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"syscall"
	"time"
)

// maxUnread is how many bytes of the log wait in memory for a reader, beyond what the
// FIFO holds.
const maxUnread = 256 << 10

// logWriter writes whole lines to a FIFO and never waits for who reads it: a manager
// that hangs, or is gone, holds nobody up. A line is in the FIFO when Write returns,
// unless that is full; then so many wait, and what is beyond is dropped and counted. One
// goroutine writes what waits. Safe for concurrent use.
type logWriter struct {
	file *os.File
	raw  syscall.RawConn

	mu      sync.Mutex
	waiting []byte // whole lines, but for the first
	dropped int    // lines since the last one that was taken
	closed  bool
	wake    chan struct{} // something waits
	done    chan struct{} // closed when nothing will be written any more
}

// newLogWriter returns a writer to the FIFO that out is, else out itself. It uses an open
// description of its own: those of out go on blocking.
func newLogWriter(out *os.File) (w io.Writer, closeLog func(time.Duration)) {
	nothing := func(time.Duration) {}
	st, err := out.Stat()
	if err != nil || st.Mode()&os.ModeNamedPipe == 0 {
		return out, nothing
	}
	f, err := os.OpenFile(fmt.Sprintf("/proc/self/fd/%d", out.Fd()), os.O_WRONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return out, nothing
	}
	raw, err := f.SyscallConn()
	if err != nil {
		f.Close()
		return out, nothing
	}
	l := &logWriter{file: f, raw: raw, wake: make(chan struct{}, 1), done: make(chan struct{})}
	go l.run()
	return l, l.close
}

// Write takes one or more whole lines. It fails only after close.
func (l *logWriter) Write(lines []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return 0, os.ErrClosed
	}
	if len(l.waiting) == 0 {
		l.tell()
	}
	rest := lines
	if len(l.waiting) == 0 {
		rest = lines[l.try(lines):]
	}
	switch {
	case len(rest) == 0:
	case len(rest) < len(lines), len(l.waiting)+len(rest) <= maxUnread: // a line that was begun is ended
		l.tell()
		l.waiting = append(l.waiting, rest...)
		l.rouse()
	default:
		l.dropped += bytes.Count(lines, []byte{'\n'})
	}
	return len(lines), nil
}

// try writes what the FIFO takes at once.
func (l *logWriter) try(p []byte) (n int) {
	_ = l.raw.Write(func(fd uintptr) bool {
		for n < len(p) {
			m, err := syscall.Write(int(fd), p[n:])
			if errors.Is(err, syscall.EINTR) {
				continue
			}
			if err != nil {
				break
			}
			n += m
		}
		return true
	})
	return n
}

// tell puts a line in the place of those that were dropped. l.mu is held.
func (l *logWriter) tell() {
	if l.dropped > 0 {
		l.waiting = fmt.Appendf(l.waiting, `{"time":%q,"level":"WARN","msg":"%d lines of the log were dropped: nobody read them"}`+"\n",
			time.Now().Format(time.RFC3339Nano), l.dropped)
		l.dropped = 0
		l.rouse()
	}
}

func (l *logWriter) rouse() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// run writes what waits as the FIFO is read, until close.
func (l *logWriter) run() {
	defer close(l.done)
	for range l.wake {
		for {
			l.mu.Lock()
			batch := l.waiting
			closed := l.closed
			l.mu.Unlock()
			if len(batch) == 0 {
				if closed {
					return
				}
				break
			}
			n, err := l.file.Write(batch[:min(len(batch), 4096)])
			l.mu.Lock()
			if l.waiting = l.waiting[n:]; len(l.waiting) == 0 {
				l.tell()
			}
			l.mu.Unlock()
			if err != nil {
				return // the time of close is over
			}
		}
	}
}

// close ends the log, and waits for at most so long for what is not read yet.
func (l *logWriter) close(most time.Duration) {
	l.mu.Lock()
	l.closed = true
	l.mu.Unlock()
	_ = l.file.SetWriteDeadline(time.Now().Add(most))
	l.rouse()
	<-l.done
	_ = l.file.Close()
}
