package relay

import (
	"maps"
	"slices"
)

// directory is an immutable picture of which processes each service has.
type directory struct {
	services map[int64]*service
}

type service struct {
	processes []uint16
	ready     []*Link
}

// SetServices says which process ids exist for which service, ready or not. It
// replaces what was said before.
func (r *Router) SetServices(services map[int64][]uint16) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.listed = maps.Clone(services)
	for id, processes := range r.listed {
		r.listed[id] = slices.Clone(processes)
	}
	for id, g := range r.registries {
		if _, listed := r.listed[id]; !listed {
			r.forgetOrphans(g)
		}
	}
	r.relist()
}

// relist publishes a new directory. r.mu is held.
func (r *Router) relist() {
	d := &directory{services: make(map[int64]*service, len(r.listed))}
	for id, processes := range r.listed {
		s := &service{processes: processes}
		for _, p := range processes {
			l := r.links[p].Load()
			if l != nil && !l.serves(id) {
				l = r.newest(p, func(o *Link) bool { return o.serves(id) })
			}
			if l != nil {
				s.ready = append(s.ready, l)
			}
		}
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
	for _, l := range s.ready {
		if l.launch.Process == process {
			return l
		}
	}
	return nil
}

// pick returns the ready process that serves the sender: always the same one while
// it is ready, and no other sender moves when one goes (rendezvous hashing).
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
