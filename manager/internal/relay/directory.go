package relay

import (
	"cmp"
	"maps"
	"slices"
)

// directory is an immutable picture of which processes each service has.
type directory struct {
	services map[int64]*service
}

type service struct {
	processes []uint16 // sorted, as is ready
	ready     []*Link
	seats     *seats            // nil without a handler
	heirs     map[uint16]uint16 // of processes that are not ready: who got their clients
}

// SetServices says which process ids exist for which service, ready or not. It
// replaces what was said before.
func (r *Router) SetServices(services map[int64][]uint16) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.listed = maps.Clone(services)
	for id, processes := range r.listed {
		r.listed[id] = slices.Sorted(slices.Values(processes))
	}
	for id, g := range r.registries {
		if _, listed := r.listed[id]; !listed {
			r.forgetOrphans(g)
		}
	}
	for id := range r.seats {
		if _, listed := r.listed[id]; !listed {
			delete(r.seats, id)
			delete(r.heirs, id)
		}
	}
	r.relist()
}

// relist publishes a new directory. r.mu is held.
func (r *Router) relist() {
	d := &directory{services: make(map[int64]*service, len(r.listed))}
	for id, processes := range r.listed {
		s := &service{processes: processes, seats: r.seats[id]}
		for _, p := range processes {
			l := r.links[p].Load()
			if l != nil && !l.serves(id) {
				l = r.newest(p, func(o *Link) bool { return o.serves(id) })
			}
			if l == nil {
				continue
			}
			s.ready = append(s.ready, l)
			delete(r.heirs[id], p)
			if l.launch.Handler {
				s.seats = r.seatsOf(id)
			}
		}
		s.heirs = maps.Clone(r.heirs[id])
		d.services[id] = s
	}
	r.services.Store(d)
}

// serves reports whether l takes messages for the service. r.mu is held.
func (l *Link) serves(service int64) bool {
	return l.ready && !l.draining && l.launch.Service == service
}

// named returns the ready process with the given id.
func (s *service) named(process uint16) *Link {
	i, found := slices.BinarySearchFunc(s.ready, process, func(l *Link, p uint16) int { return cmp.Compare(l.launch.Process, p) })
	if !found {
		return nil
	}
	return s.ready[i]
}

// pick returns a ready process for a sender that has none: the same one while the same
// ones are ready (rendezvous hashing).
func (s *service) pick(from int64) *Link {
	var best *Link
	var most uint64
	for _, l := range s.ready {
		if h := mix(uint64(from) ^ mix(uint64(l.launch.Process)+1)); best == nil || h > most {
			best, most = l, h
		}
	}
	return best
}

// mix is the finalizer of splitmix64.
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
