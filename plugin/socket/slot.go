package socket

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/antano/antano/plugin"
)

// slot is one datagram socket with the sources that were heard on it. Its reader,
// if this process is to read it, is a slotReader.
type slot struct {
	service *SocketService
	number  int
	socket  plugin.Socket // inherited; answers leave through it, also when it is not read
	family  int
	local   bool // the address asked must be told and answered from: bound to a wildcard
	size    int  // of the receive buffer
	buffers *sync.Pool
	round   round

	mu      sync.Mutex
	sources map[sourceKey]*source // guarded by mu
	drops   uint32                // the kernel's count when last seen; guarded by mu

	reader   *slotReader // guarded by service.assigning
	left     bool        // was read before; guarded by service.assigning
	reading  atomic.Bool
	refusals rate // the reader's
}

func newSlot(s *SocketService, number int, sock plugin.Socket) (*slot, error) {
	family, err := unix.GetsockoptInt(sock.FD, unix.SOL_SOCKET, unix.SO_DOMAIN)
	if err != nil {
		return nil, fmt.Errorf("use socket %s (descriptor %d): %w", sock.Name, sock.FD, err)
	}
	sl := &slot{service: s, number: number, socket: sock, family: family, sources: make(map[sourceKey]*source)}
	sl.size = s.params.Limits.MaxMessageBytes
	if family != unix.AF_UNIX {
		sl.size = min(sl.size, 1<<16)
		if err := sl.tuneUDP(); err != nil {
			return nil, fmt.Errorf("set up socket %s (descriptor %d): %w", sock.Name, sock.FD, err)
		}
	}
	sl.buffers = &sync.Pool{New: func() any { b := make([]byte, sl.size); return &b }}
	sl.seeDrops(false)
	return sl, nil
}

// AssignSlots reads exactly the slots whose bits are set, and returns once it has
// stopped reading all others. The sources heard on those are retired: their datagrams
// go to another process, where they are new clients; only what is owed to them still
// goes out from here. Source: plugin.SlotReader.
func (s *SocketService) AssignSlots(slots uint64) error {
	s.assigning.Lock()
	defer s.assigning.Unlock()
	all := s.allSlots()
	for _, sl := range all {
		if slots&(1<<sl.number) == 0 {
			sl.stop()
			sl.forget(func(*source) bool { return true }, func(src *source) { src.client.Retire(errMoved) })
		}
	}
	var errs []error
	for _, sl := range all {
		if slots&(1<<sl.number) != 0 {
			errs = append(errs, sl.start())
		}
	}
	return errors.Join(errs...)
}

func (s *SocketService) allSlots() []*slot {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Collect(maps.Values(s.slots))
}

// slotReader reads a slot through a descriptor of its own: one that is registered
// with the poller only while it is read, as siblings' datagrams would wake it.
type slotReader struct {
	slot *slot
	file *os.File
	raw  syscall.RawConn
	gone chan struct{}

	tryRead func(fd uintptr) bool
	buffer  *[]byte // held while there is something to read
	control [128]byte
	got     datagram
	err     error
	touched []*source
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
	if sl.left { // others have counted meanwhile
		sl.seeDrops(false)
	}
	sl.left = true
	sl.reader = r
	sl.reading.Store(true)
	go r.run()
	return nil
}

// stop returns when the slot is not read any more. The caller holds
// service.assigning.
func (sl *slot) stop() {
	if sl.reader == nil {
		return
	}
	sl.reader.file.Close()
	<-sl.reader.gone
	sl.reader = nil
	sl.reading.Store(false)
	sl.seeDrops(true)
}
