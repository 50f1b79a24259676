package socket

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/antano/antano/plugin"
)

// giveFunc is what MoveOut calls for each client.
type giveFunc func(c plugin.Client, state []byte, fd int) error

// moveOut is what a move has stopped.
type moveOut struct {
	listeners []*listener
	streams   []*stream
	slots     []*slotReader
}

// MoveOut stops the readers of the clients on the given slots, or of all and the
// listeners, and gives what stands. A client whose call of OnReceivedMessage does not end
// within callTime stays, and with it all sources of its slot. Source: plugin.Handover.
func (s *SocketService) MoveOut(ctx context.Context, slots uint64, give func(c plugin.Client, state []byte, fd int) error) error {
	out := &moveOut{}
	s.mu.Lock()
	s.moving = out
	s.mu.Unlock()
	if slots == plugin.AllSlots {
		if err := s.standListeners(ctx, out); err != nil {
			return err
		}
	}
	limit, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	if slots == plugin.AllSlots {
		s.giveStreams(limit, out, give)
	}
	s.giveSlots(limit, slots, out, give)
	return ctx.Err()
}

// MoveBack reads on what MoveOut has stopped. Source: plugin.Handover.
func (s *SocketService) MoveBack() {
	s.mu.Lock()
	out := s.moving
	s.moving = nil
	s.mu.Unlock()
	if out == nil {
		return
	}
	for _, r := range out.slots {
		r.back()
	}
	for _, c := range out.streams {
		c.gate.open()
	}
	for _, l := range out.listeners {
		l.gate.open()
	}
}

// standListeners accepts no connection any more.
func (s *SocketService) standListeners(ctx context.Context, out *moveOut) error {
	s.mu.Lock()
	out.listeners = slices.Collect(maps.Keys(s.listeners))
	s.mu.Unlock()
	var asked []<-chan struct{}
	for _, l := range out.listeners {
		asked = append(asked, l.gate.ask())
		l.interrupt()
	}
	for i, done := range asked {
		if done == nil { // it stands since an earlier move
			continue
		}
		select {
		case <-done:
		case <-ctx.Done():
			return fmt.Errorf("stop accepting on socket %s: its callback has not returned: %w", out.listeners[i].name, ctx.Err())
		}
	}
	return nil
}

// giveStreams stops the readers of connections and gives each that stands in time.
func (s *SocketService) giveStreams(limit context.Context, out *moveOut, give giveFunc) {
	s.mu.Lock()
	streams := slices.Collect(maps.Keys(s.streams))
	s.mu.Unlock()
	var standing []<-chan struct{}
	asked := streams[:0]
	for _, c := range streams {
		if c.client == nil { // a refused one, that may still read why
			continue
		}
		if done := c.gate.ask(); done != nil { // else it has only just come
			c.interrupt()
			asked, standing = append(asked, c), append(standing, done)
		}
	}
	for i, c := range asked {
		await(limit, standing[i])
		s.giveStream(c, out, give)
	}
}

// await waits for done as long as ctx allows.
func await(ctx context.Context, done <-chan struct{}) {
	select {
	case <-done:
	case <-ctx.Done():
	}
}

// giveStream gives a connection that stands, or lets it go on.
func (s *SocketService) giveStream(c *stream, out *moveOut, give giveFunc) {
	err := errNotStanding
	if c.gate.stands() {
		err = c.give(give)
	}
	if err != nil {
		c.gate.open()
		s.host.Logger().Debug("a client stays", "client", c.client.ID(), "err", err)
		return
	}
	out.streams = append(out.streams, c)
}

var errNotStanding = errors.New("it is ending, or a call for it has not returned")

// give passes a connection on by a descriptor of its own, so that nobody's Close waits
// for it.
func (c *stream) give(give giveFunc) (err error) {
	author, err := c.service.saveClient(c.client)
	if err != nil {
		return err
	}
	state := streamState{
		address: c.address, parked: c.parked, unread: c.unread, author: author, decoder: c.decoder.save(),
	}
	if !c.waiting.IsZero() {
		state.waiting = c.waiting.UnixNano()
	}
	fd := -1
	cerr := c.raw.Control(func(own uintptr) { fd, err = unix.FcntlInt(own, unix.F_DUPFD_CLOEXEC, 3) })
	if err := errors.Join(cerr, err); err != nil {
		return fmt.Errorf("duplicate the connection of %s: %w", c.address, err)
	}
	defer unix.Close(fd)
	return give(c.client, state.append(nil), fd)
}

// giveSlots stops the readers of slots and gives the sources of each that stands in time.
func (s *SocketService) giveSlots(limit context.Context, slots uint64, out *moveOut, give giveFunc) {
	var asked []*slotReader
	var standing []<-chan struct{}
	s.assigning.Lock()
	for _, sl := range s.allSlots() {
		r := sl.reader
		if r == nil || slots&(1<<sl.number) == 0 {
			continue
		}
		if done := r.gate.ask(); done != nil { // else it has moved
			sl.setMoving(true)
			r.interrupt()
			asked, standing = append(asked, r), append(standing, done)
		}
	}
	s.assigning.Unlock()
	for i, r := range asked {
		await(limit, standing[i])
		for _, waking := range r.slot.wakings() {
			await(limit, waking)
		}
		if !r.gate.stands() {
			r.back()
			continue
		}
		out.slots = append(out.slots, r)
		r.give(give)
	}
}

// give passes on the sources of a slot whose reader stands. Those that stay are retired
// when the slot goes.
func (r *slotReader) give(give giveFunc) {
	sl := r.slot
	drops := sl.endDrops()
	for _, src := range sl.leaving() {
		state := src.state()
		state.drops, state.counted = drops, true
		state.parked = src.waiting()
		own := r.parkedOf(src)
		for _, p := range own {
			state.parked = append(state.parked, p.payload)
		}
		author, err := sl.service.saveClient(src.client)
		if err == nil {
			state.author = author
			err = give(src.client, state.append(nil), -1)
		}
		if err != nil {
			sl.mu.Lock()
			src.given = false
			sl.mu.Unlock()
			sl.service.host.Logger().Debug("a client stays", "client", src.client.ID(), "err", err)
			continue
		}
		for _, p := range own {
			p.given = true
		}
	}
}

// parkedOf are the datagrams of a source that were read and not taken.
func (r *slotReader) parkedOf(src *source) (all []*parked) {
	for _, p := range r.parked {
		if keyOf(p.from) == src.key && p.anc.local == src.asked.local {
			all = append(all, p)
		}
	}
	return all
}

// back is the end of a move that failed.
func (r *slotReader) back() {
	sl := r.slot
	sl.mu.Lock()
	sl.moving, sl.drops.counting = false, true
	var left []*source
	for src := range sl.all() {
		if src.given = false; src.asleep {
			left = append(left, src)
		}
	}
	sl.mu.Unlock()
	for _, src := range left {
		src.wake()
	}
	if r.gate.stands() {
		for _, p := range r.parked {
			p.given = false
		}
	}
	r.gate.open()
}

// setMoving has what sources left be taken here, or by the next process.
func (sl *slot) setMoving(moving bool) {
	sl.mu.Lock()
	defer sl.mu.Unlock()
	sl.moving = moving
}

// wakings end when what sources left is not taken here any more.
func (sl *slot) wakings() (all []<-chan struct{}) {
	sl.mu.Lock()
	defer sl.mu.Unlock()
	for src := range sl.all() {
		if src.waking != nil {
			all = append(all, src.waking)
		}
	}
	return all
}

// saveClient asks the author what a client takes along.
func (s *SocketService) saveClient(client plugin.Client) (state []byte, err error) {
	if s.config.SaveClient == nil {
		return nil, nil
	}
	defer s.recovered("SaveClient", &err, "client", client.ID())
	return s.config.SaveClient(client), nil
}
