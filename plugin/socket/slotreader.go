package socket

import (
	"errors"
	"fmt"
	"os"
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

	tryRead func(fd uintptr) bool
	buffer  *[]byte // held while there is something to read
	control [128]byte
	got     datagram
	err     error
	touched []*source
	parked  *parked // was read and not taken; also whose who has stopped the reader
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
	r.tryRead = r.readDatagram
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
	sl.reader.file.Close()
	sl.reader.gate.open() // a reader that stands finds the file closed
	<-sl.reader.gone
	if p := sl.reader.parked; p != nil && !p.given {
		sl.fail(&p.datagram, p.payload, errStays, time.Now().UnixNano())
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
	for r.step() {
	}
}

// step takes one datagram, or stands while the slot moves, and reports whether to go on.
func (r *slotReader) step() bool {
	if r.gate.wanted() {
		r.flush()
		r.gate.stop()
		return r.file.SetReadDeadline(time.Time{}) == nil
	}
	if r.parked != nil {
		return r.receiveParked()
	}
	if err := r.raw.Read(r.tryRead); err != nil {
		// Who interrupted asked for the gate first, so what is taken off here is over.
		return errors.Is(err, os.ErrDeadlineExceeded) && (r.gate.wanted() || r.file.SetReadDeadline(time.Time{}) == nil)
	}
	r.slot.round.begin()
	defer r.slot.round.end()
	return r.handle()
}

// receiveParked tries again what was not taken: the move has not come here yet, or has
// ended.
func (r *slotReader) receiveParked() bool {
	p := r.parked
	r.parked = nil
	r.receive(&p.datagram, p.payload)
	return r.parked == nil || r.slot.service.pause(retryMoved)
}

// interrupt ends the wait of a reader that is to stand.
func (r *slotReader) interrupt() { r.file.SetReadDeadline(longAgo) }

// readDatagram reads one datagram, or says that answers can be flushed, or waits.
func (r *slotReader) readDatagram(fd uintptr) bool {
	if r.buffer == nil {
		r.buffer = r.slot.buffers.Get().(*[]byte)
	}
	var n, nc, flags int
	for {
		n, nc, flags, r.got.from, r.err = unix.Recvmsg(int(fd), *r.buffer, r.control[:], unix.MSG_DONTWAIT|unix.MSG_TRUNC)
		if r.err != unix.EINTR {
			break
		}
	}
	r.got.dry = false
	if r.err == unix.EAGAIN {
		if len(r.touched) > 0 {
			r.got.dry = true
			return true
		}
		r.slot.buffers.Put(r.buffer)
		r.buffer = nil
		return false
	}
	r.got.size, r.got.cut = n, flags&unix.MSG_TRUNC != 0
	r.got.anc = parseAncillary(r.control[:max(nc, 0)])
	return true
}
