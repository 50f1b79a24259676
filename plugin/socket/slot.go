package socket

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"

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
	round   round

	mu      sync.Mutex
	sources map[sourceKey]*source // guarded by mu
	drops   drops                 // guarded by mu
	moving  bool                  // its sources are about to go to another process; guarded by mu

	reader   *slotReader // guarded by service.assigning
	refusals refusals    // the reader's
}

func newSlot(s *SocketService, number int, sock plugin.Socket) (*slot, error) {
	family, err := unix.GetsockoptInt(sock.FD, unix.SOL_SOCKET, unix.SO_DOMAIN)
	if err != nil {
		return nil, fmt.Errorf("use socket %s (descriptor %d): %w", sock.Name, sock.FD, err)
	}
	sl := &slot{service: s, number: number, socket: sock, family: family, sources: make(map[sourceKey]*source)}
	if family != unix.AF_UNIX {
		if err := sl.tuneUDP(); err != nil {
			return nil, fmt.Errorf("set up socket %s (descriptor %d): %w", sock.Name, sock.FD, err)
		}
	}
	sl.seeDrops()
	return sl, nil
}

// AssignSlots reads exactly the slots whose bits are set, and returns once it has
// stopped reading all others. The sources heard on those that did not move are retired:
// their datagrams go to another process, where they are new clients; only what is owed to
// them still goes out from here. Source: plugin.SlotReader.
func (s *SocketService) AssignSlots(slots uint64) error {
	s.assigning.Lock()
	defer s.assigning.Unlock()
	all := s.allSlots()
	for _, sl := range all {
		// A slot that is not read may have sources that are about to come with it.
		if slots&(1<<sl.number) == 0 && sl.stop() {
			sl.forget((*source).stays, func(src *source) { src.client.Retire(errMoved) })
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
