package relay

import (
	"sync"
	"time"

	"github.com/antano/antano/shared/wire"
)

const (
	seatShards = 16
	// maxSeats is how many senders one half of a table remembers, over all shards.
	maxSeats = 1 << 18
	// seatTicks is how long a sender may be silent and is remembered for certain.
	seatTicks = uint32(10 * time.Minute / sweepEvery)
)

// seats remembers, for one service with a handler, in which process each sender's
// messages are handled: it stays there while that is ready, whichever processes come and
// go beside it. Who was silent for 10 minutes is forgotten at the latest after 20; with
// more senders than maxSeats, who was silent longest is. A table takes 20 MiB at most.
type seats struct {
	shards [seatShards]seatShard
}

// seatShard is the table of some senders, in two halves: one that was not found in the
// first half for as long as that lasts goes with the second.
type seatShard struct {
	mu          sync.Mutex
	now, before map[int64]uint16
	turned      uint32 // when now began
}

// seatKey is a sender: ids of clients and of services are both positive.
func seatKey(kind wire.Kind, id int64) int64 {
	if kind == wire.KindService {
		return ^id
	}
	return id
}

func (t *seats) shard(key int64) *seatShard { return &t.shards[mix(uint64(key))%seatShards] }

// seatsOf is the table of a service. r.mu is held.
func (r *Router) seatsOf(service int64) *seats {
	t := r.seats[service]
	if t == nil {
		t = &seats{}
		r.seats[service] = t
	}
	return t
}

// bequeathSeats has who was handled in from be handled in to, which makes no call before
// those that from has begun. It lasts until the process of from is ready again. r.mu is
// held.
func (r *Router) bequeathSeats(from, to *Link) {
	id := from.launch.Service
	if !to.launch.Handler {
		return
	}
	if r.heirs[id] == nil {
		r.heirs[id] = make(map[uint16]uint16)
	}
	r.heirs[id][from.launch.Process] = to.launch.Process
}

// put seats a sender that none was found for.
func (t *seats) put(key int64, process uint16, tick uint32) {
	h := t.shard(key)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.set(key, process, tick)
}

// seatSenders leaves to an adopted process whom it handled before.
func (l *Link) seatSenders(body []byte) error {
	var v wire.Senders
	if err := v.Parse(body); err != nil {
		return err
	}
	l.r.mu.Lock()
	_, listed := l.r.listed[l.launch.Service]
	if !listed || !l.launch.Handler || l.draining {
		l.r.mu.Unlock()
		return nil
	}
	t := l.r.seatsOf(l.launch.Service)
	l.r.mu.Unlock()
	for id := range v.All {
		t.put(seatKey(v.Kind, id), l.launch.Process, l.r.tick.Load())
	}
	return nil
}

// get returns the process of a sender. h.mu is held.
func (h *seatShard) get(key int64, tick uint32) (process uint16, seated bool) {
	if int32(tick-h.turned) >= int32(seatTicks) { // another may have turned it a tick later
		h.turn(tick)
	}
	if process, seated = h.now[key]; seated {
		return process, true
	}
	if process, seated = h.before[key]; seated {
		h.set(key, process, tick)
	}
	return process, seated
}

// set seats a sender. h.mu is held.
func (h *seatShard) set(key int64, process uint16, tick uint32) {
	if len(h.now) >= maxSeats/seatShards {
		h.turn(tick)
	}
	if h.now == nil {
		h.now = make(map[int64]uint16)
	}
	h.now[key] = process
}

// turn forgets the second half, and after a silence the first one, too.
func (h *seatShard) turn(tick uint32) {
	h.before, h.now = h.now, nil
	if int32(tick-h.turned) >= 2*int32(seatTicks) {
		h.before = nil
	}
	h.turned = tick
}

// seat returns the ready process that handles what a sender says.
func (s *service) seat(key int64, tick uint32) *Link {
	h := s.seats.shard(key)
	h.mu.Lock()
	defer h.mu.Unlock()
	was, seated := h.get(key, tick)
	if seated {
		if l := s.heir(was); l != nil {
			if l.launch.Process != was {
				h.set(key, l.launch.Process, tick)
			}
			return l
		}
	}
	l := s.pick(key)
	if l != nil {
		h.set(key, l.launch.Process, tick)
	}
	return l
}

// heir returns a process, or who was handed all that it had, if that is ready.
func (s *service) heir(process uint16) *Link {
	for range len(s.heirs) + 1 {
		if l := s.named(process); l != nil {
			return l
		}
		to, handed := s.heirs[process]
		if !handed {
			break
		}
		process = to
	}
	return nil
}
