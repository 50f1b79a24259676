package socket

import (
	"errors"
	"runtime/debug"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A goroutine that has received a message has a stack of 4 KiB or more, which it never
// gives back while it waits for the next one. So a connection without input rests in a
// goroutine that does nothing but wait, on the 2 KiB that it began with, and starts run
// when something comes.

var errSilent = errors.New("nothing was received for a while")

// rest waits for input, for an interrupt or for the end, and leaves either to run. It
// calls nothing that would need a larger stack.
func (c *stream) rest() {
	if c.begun() {
		c.raw.Read(peek)
	}
	go c.run()
}

// begun reports whether to wait: nothing is left to be taken, nobody wants the reader to
// stand and its deadline is set.
func (c *stream) begun() bool {
	if len(c.parked) > 0 || len(c.unread) > 0 {
		return false
	}
	err := c.limitWait()
	if c.service.idle <= 0 {
		err = c.file.SetReadDeadline(time.Time{}) // the interrupt has set one
	}
	// Asked after the deadline was set, else this one could undo that of an interrupt.
	return err == nil && !c.gate.wanted()
}

// peek reports whether there is input, an end or an error.
func peek(fd uintptr) bool {
	var one [1]byte
	for {
		_, _, errno := unix.Syscall6(unix.SYS_RECVFROM, fd, uintptr(unsafe.Pointer(&one)), 1, unix.MSG_PEEK|unix.MSG_DONTWAIT, 0, 0)
		if errno != unix.EINTR {
			return errno != unix.EAGAIN
		}
	}
}

// wake notes that the goroutine of c is run from now on.
func (s *SocketService) wake(c *stream) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.awake[c] = c.reads.Load() - 1
	if !s.looking && s.beginLocked() {
		s.looking = true
		go s.lookAfter()
	}
}

// calm is the end of what wake began. After it the reader is not interrupted to rest.
func (s *SocketService) calm(c *stream) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.awake, c)
}

// lookAfter has connections rest that are silent, while any is awake. When many do, what
// they had goes back to the system, which the runtime by itself takes minutes for.
func (s *SocketService) lookAfter() {
	defer s.tasks.Done()
	resting := 0
	for {
		silent, awake := s.interruptSilent()
		if resting += silent; silent == 0 && resting >= manyResting {
			debug.FreeOSMemory()
			resting = 0
		}
		if !awake || !s.pause(restAfter) {
			return
		}
	}
}

// interruptSilent interrupts who has read nothing since it was last called, and reports
// how many these are and whether anybody is awake.
func (s *SocketService) interruptSilent() (silent int, awake bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c, before := range s.awake {
		if now := c.reads.Load(); now != before {
			s.awake[c] = now
			continue
		}
		c.silent.Store(true)
		c.interrupt()
		silent++
	}
	s.looking = len(s.awake) > 0
	return silent, s.looking
}
