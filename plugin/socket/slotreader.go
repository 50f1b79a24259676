package socket

import (
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/antano/antano/shared"
)

// slotReader reads a slot through a descriptor of its own: one that is registered
// with the poller only while it is read, as siblings' datagrams would wake it.
type slotReader struct {
	slot *slot
	file *os.File
	raw  syscall.RawConn
	gone chan struct{}
	gate gate
	end  atomic.Bool // the reader is to end

	tryRead func(fd uintptr) bool
	batch   *inBatch // held while there is something to read
	err     error
	since   int // datagrams taken since answers were flushed
	touched []*source
	parked  []*parked // were read and not taken; also whose who has stopped the reader
}

// parked is a datagram that waits for a move.
type parked struct {
	datagram
	payload []byte
	given   bool // went along with its source
}

// start reads the slot from now on. The caller holds service.assigning.
func (sl *slot) start() error {
	if sl.reader != nil {
		return nil
	}
	file, err := duplicate(sl.socket)
	if err != nil {
		return err
	}
	raw, err := file.SyscallConn()
	if err != nil {
		file.Close()
		return fmt.Errorf("read socket %s: %w", sl.socket.Name, err)
	}
	r := &slotReader{slot: sl, file: file, raw: raw, gone: make(chan struct{})}
	r.tryRead = r.drain
	sl.service.mu.Lock()
	ok := sl.service.beginLocked()
	sl.service.mu.Unlock()
	if !ok {
		file.Close()
		return fmt.Errorf("read socket %s: %w", sl.socket.Name, errNotServing)
	}
	sl.beginDrops()
	sl.reader = r
	go r.run()
	return nil
}

// errStays is the fate of a datagram that was not taken, and whose source does not move.
var errStays = shared.Errorf(shared.CodeShuttingDown, "another process reads what comes from this address now: send again")

// stop returns when the slot is not read any more, and reports whether it was before. The
// caller holds service.assigning.
func (sl *slot) stop() bool {
	if sl.reader == nil {
		return false
	}
	sl.reader.end.Store(true)
	sl.reader.file.Close()
	sl.reader.gate.open() // a reader that stands finds the file closed
	<-sl.reader.gone
	for _, p := range sl.reader.parked {
		if !p.given {
			sl.fail(&p.datagram, p.payload, errStays, time.Now().UnixNano())
		}
	}
	sl.reader = nil
	sl.endDrops()
	sl.setMoving(false)
	return true
}

// run reads until stop.
func (r *slotReader) run() {
	sl := r.slot
	defer sl.service.tasks.Done()
	defer close(r.gone)
	defer r.gate.end()
	defer r.file.Close()
	defer r.flush()
	for !r.end.Load() && r.step() {
	}
}

// step takes what waits, or stands while the slot moves, and reports whether to go on.
func (r *slotReader) step() bool {
	if r.gate.wanted() {
		r.flush()
		r.gate.stop()
		return r.file.SetReadDeadline(time.Time{}) == nil
	}
	if len(r.parked) > 0 {
		return r.receiveParked()
	}
	err := r.raw.Read(r.tryRead)
	r.putBatch()
	if err != nil {
		// Who interrupted asked for the gate first, so what is taken off here is over.
		return errors.Is(err, os.ErrDeadlineExceeded) && (r.gate.wanted() || r.file.SetReadDeadline(time.Time{}) == nil)
	}
	return r.goOn()
}

// goOn reports whether to read on after r.err.
func (r *slotReader) goOn() bool {
	switch {
	case r.err == nil, errors.Is(r.err, unix.ECONNREFUSED), errors.Is(r.err, unix.EHOSTUNREACH), errors.Is(r.err, unix.ENETUNREACH):
		return true // or an earlier answer's fate, not this socket's
	}
	r.slot.service.host.Logger().Warn("cannot read: trying again", "socket", r.slot.socket.Name, "err", r.err)
	return r.slot.service.pause(maxRetryPause)
}

// receiveParked tries again what was not taken: the move has not come here yet, or has
// ended.
func (r *slotReader) receiveParked() bool {
	r.slot.round.begin()
	defer r.slot.round.end()
	all := r.parked
	r.parked = nil
	now := time.Now().UnixNano()
	for _, p := range all {
		r.receive(&p.datagram, p.payload, now)
	}
	return len(r.parked) == 0 || r.slot.service.pause(retryMoved)
}

// interrupt ends the wait of a reader that is to stand.
func (r *slotReader) interrupt() { r.file.SetReadDeadline(longAgo) }

// drain takes one batch. It returns false when nothing was left behind it, and is called
// again when the socket has become readable since: asking once more, only to be told that
// there is nothing, would cost a system call for each of those who wait for their answer.
func (r *slotReader) drain(fd uintptr) bool {
	r.slot.round.begin()
	defer r.slot.round.end()
	if r.batch == nil {
		r.batch = r.slot.service.batches.Get().(*inBatch)
	}
	n, more, err := r.batch.read(int(fd), r.slot.local)
	if r.err = err; err != nil && err != unix.EAGAIN {
		return true
	}
	if n > 0 {
		r.slot.service.heard()
	}
	r.receiveBatch(n)
	if more || r.gate.wanted() || len(r.parked) > 0 {
		return true
	}
	r.flush()
	r.putBatch()
	return false
}

func (r *slotReader) putBatch() {
	if r.batch != nil {
		r.slot.service.batches.Put(r.batch)
		r.batch = nil
	}
}
