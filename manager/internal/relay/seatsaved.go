package relay

import "encoding/binary"

// snapshotSeats are the senders of one process of a service with a handler: their keys, 8
// bytes each.
type snapshotSeats struct {
	Service int64  `json:"s"`
	Process uint16 `json:"p"`
	Senders []byte `json:"senders"`
}

// snapshotSeats lists who has which process, who spoke last at the end.
func (r *Router) snapshotSeats() (all []snapshotSeats) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for id, t := range r.seats {
		for _, early := range []bool{true, false} {
			at := make(map[uint16][]byte)
			t.each(early, func(key int64, process uint16) {
				at[process] = binary.BigEndian.AppendUint64(at[process], uint64(key))
			})
			for process, senders := range at {
				all = append(all, snapshotSeats{id, process, senders})
			}
		}
	}
	return all
}

// each calls f for one half of the table.
func (t *seats) each(early bool, f func(key int64, process uint16)) {
	for i := range t.shards {
		h := &t.shards[i]
		h.mu.Lock()
		half := h.now
		if early {
			half = h.before
		}
		for key, process := range half {
			f(key, process)
		}
		h.mu.Unlock()
	}
}

// restoreSeats seats those that another router had seated.
func (r *Router) restoreSeats(all []snapshotSeats) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.now()
	for _, s := range all {
		if _, listed := r.listed[s.Service]; !listed {
			continue
		}
		t := r.seatsOf(s.Service)
		for b := s.Senders; len(b) >= 8; b = b[8:] {
			t.put(int64(binary.BigEndian.Uint64(b)), s.Process, now)
		}
	}
	r.relist()
}
