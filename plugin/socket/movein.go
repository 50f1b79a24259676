package socket

import (
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"github.com/antano/antano/plugin"
)

// attachFunc registers a client under the id it had.
type attachFunc func(e plugin.Endpoint, address string, w plugin.Writer) (plugin.Client, error)

// MoveIn makes a client of what another process of the service gave, or of what the
// manager kept. Source: plugin.Handover.
func (s *SocketService) MoveIn(state []byte, fd int, attach func(e plugin.Endpoint, address string, w plugin.Writer) (plugin.Client, error)) (resume func(), err error) {
	kind, fields, err := parseKind(state)
	if err == nil && (kind == kindStream) != (fd >= 0) {
		err = errState
	}
	if kind == kindStream && err == nil {
		return s.streamIn(&fields, fd, attach)
	}
	if fd >= 0 {
		unix.Close(fd)
	}
	if err != nil {
		return nil, err
	}
	return s.sourceIn(&fields, attach)
}

// streamIn goes on with a connection where another process has stopped reading.
func (s *SocketService) streamIn(f *fields, fd int, attach attachFunc) (resume func(), err error) {
	state, err := parseStream(f)
	if err == nil {
		err = s.checkConnection(fd)
	}
	if err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("take a connection over: %w", err)
	}
	c, err := s.newStream(fd, state.address)
	if err != nil {
		return nil, err
	}
	if domain, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_DOMAIN); err == nil {
		c.tcp = domain != unix.AF_UNIX
	}
	c.parked, c.unread = state.parked, state.unread
	if state.waiting > 0 {
		c.waiting = time.Unix(0, state.waiting)
	}
	if c.client, err = attach(s.endpoint, c.address, c); err != nil {
		c.file.Close()
		return nil, err
	}
	if err = s.restoreClient(c.client, state.author); err == nil {
		c.decoder.restore(&state.decoder)
		c.gate.ask() // so that it stands until it is resumed
		if s.begin(c) {
			return c.gate.open, nil
		}
		c.decoder.release()
		err = errStopped
	}
	c.file.Close()
	c.client.Close(err)
	return nil, err
}

// checkConnection refuses a descriptor that a stream of this service cannot be.
func (s *SocketService) checkConnection(fd int) error {
	kind, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TYPE)
	if err != nil {
		return fmt.Errorf("ask what descriptor %d is: %w", fd, err)
	}
	if kind != s.kind {
		return fmt.Errorf("it is a %s and the service serves a %s", kindNames[kind], kindNames[s.kind])
	}
	return unix.SetNonblock(fd, true) // or no poller would take it
}

// sourceIn makes a datagram source known, before its slot is read here.
func (s *SocketService) sourceIn(f *fields, attach attachFunc) (resume func(), err error) {
	state, err := parseSource(f)
	if err != nil {
		return nil, fmt.Errorf("take a datagram source over: %w", err)
	}
	s.mu.Lock()
	sl := s.slots[int(state.slot)]
	s.mu.Unlock()
	if sl == nil || !sl.carries(state.from) {
		return nil, fmt.Errorf("take a datagram source over: no slot %d of its kind is inherited", state.slot)
	}
	src := sl.newSource(state.from, ancillary{local: state.local, ifindex: state.ifindex})
	src.seen, src.left, src.asleep = state.seen, state.parked, true
	src.brought = len(src.left)
	if src.seen == 0 {
		src.seen = time.Now().UnixNano()
	}
	for _, m := range src.left {
		s.partial.force(len(m) + leftCost)
	}
	if src.client, err = attach(s.endpoint, src.address, src.writer()); err != nil {
		src.release()
		return nil, err
	}
	if err = s.restoreClient(src.client, state.author); err != nil {
		endSource(err)(src)
		return nil, err
	}
	if state.counted {
		sl.keepDrops(state.drops)
	}
	sl.succeed(src)
	return src.resume, nil
}

// carries reports whether a source with this address can be heard on the slot.
func (sl *slot) carries(from sockaddr) bool {
	return from.family() == sl.family || len(from) == 0 && sl.family == unix.AF_UNIX
}

// succeed adds a source in the place of one that was taken for a new one here.
func (sl *slot) succeed(src *source) {
	sl.forget(func(old *source) bool {
		return old.stays() && old.asked.local == src.asked.local
	}, func(old *source) { old.client.Retire(errMoved) }, src.key)
	sl.add(src)
}

// Kept is what the manager keeps of a source over a crash. Source: plugin.KeptWriter.
func (src *source) Kept() (slot int, state []byte) {
	kept := src.state()
	kept.seen = 0
	return src.slot.number, kept.append(nil)
}

// state is what the source takes along.
func (src *source) state() *sourceState {
	src.slot.mu.Lock()
	defer src.slot.mu.Unlock()
	return &sourceState{
		slot: uint8(src.slot.number), from: src.to, local: src.asked.local, ifindex: src.asked.ifindex, seen: src.seen,
	}
}

// restoreClient gives the author what saveClient returned.
func (s *SocketService) restoreClient(client plugin.Client, state []byte) (err error) {
	if s.config.RestoreClient == nil {
		return nil
	}
	defer s.recovered("RestoreClient", &err, "client", client.ID())
	s.config.RestoreClient(client, state)
	return nil
}
