package relay

import (
	"hash/maphash"
	"slices"
	"sync"
	"sync/atomic"
)

const (
	groupShards = 256
	// maxGroups is how many groups one process may subscribe to.
	maxGroups = 4 << 20
	// shrinkAt is the size from which a shard gives memory back.
	shrinkAt = 64
)

type groupKey struct {
	name string
	id   int64
}

// groups knows which processes have members of a group; the members themselves
// live in the processes.
type groups struct {
	seed   maphash.Seed
	shards [groupShards]groupShard
}

// groupShard is one part of the table. The slices in it are never changed, only
// replaced, so a reader keeps one without the lock.
type groupShard struct {
	mu   sync.RWMutex
	m    map[groupKey][]*Link
	peak int
	_    [24]byte // one cache line each
}

func (g *groups) init() { g.seed = maphash.MakeSeed() }

func (g *groups) shard(name []byte, id int64) *groupShard {
	return &g.shards[mix(maphash.Bytes(g.seed, name)^uint64(id))%groupShards]
}

// get returns the processes of a group.
func (g *groups) get(name []byte, id int64) []*Link {
	s := g.shard(name, id)
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.m[groupKey{string(name), id}]
}

// add subscribes l; false when it has too many groups.
func (g *groups) add(l *Link, name []byte, id int64) bool {
	s := g.shard(name, id)
	s.mu.Lock()
	defer s.mu.Unlock()
	old, known := s.m[groupKey{string(name), id}]
	if slices.Contains(old, l) {
		return true
	}
	if l.groups.Load() >= maxGroups {
		return false
	}
	l.groups.Add(1)
	links := make([]*Link, len(old)+1)
	links[copy(links, old)] = l
	if s.m == nil {
		s.m = make(map[groupKey][]*Link)
	}
	if known {
		s.m[groupKey{string(name), id}] = links
		return true
	}
	s.m[groupKey{string(name), id}] = links
	s.peak = max(s.peak, len(s.m))
	return true
}

// remove unsubscribes l.
func (g *groups) remove(l *Link, name []byte, id int64) {
	s := g.shard(name, id)
	s.mu.Lock()
	defer s.mu.Unlock()
	k := groupKey{string(name), id}
	s.drop(k, s.m[k], l, &l.groups)
	s.shrink()
}

// forget unsubscribes l from everything.
func (g *groups) forget(l *Link) {
	for i := range g.shards {
		s := &g.shards[i]
		s.mu.Lock()
		for k, links := range s.m {
			s.drop(k, links, l, &l.groups)
		}
		s.shrink()
		s.mu.Unlock()
	}
}

func (s *groupShard) drop(k groupKey, links []*Link, l *Link, count *atomic.Int64) {
	i := slices.Index(links, l)
	if i < 0 {
		return
	}
	count.Add(-1)
	if len(links) == 1 {
		delete(s.m, k)
		return
	}
	rest := make([]*Link, 0, len(links)-1)
	s.m[k] = append(append(rest, links[:i]...), links[i+1:]...)
}

// shrink rebuilds a map that holds far less than it did: Go's never give back.
func (s *groupShard) shrink() {
	if s.peak < shrinkAt || len(s.m) > s.peak/4 {
		return
	}
	m := make(map[groupKey][]*Link, len(s.m))
	for k, links := range s.m {
		m[k] = links
	}
	s.m, s.peak = m, len(m)
}
