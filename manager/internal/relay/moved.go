package relay

import (
	"sync"
	"sync/atomic"

	"github.com/antano/antano/shared"
)

const movedShards = 64

// moved knows the clients whose host is not the holder of their id's range. A nil
// host is a client without a process. count spares most lookups.
type moved struct {
	count  atomic.Int64
	shards [movedShards]movedShard
}

type movedShard struct {
	mu sync.RWMutex
	m  map[shared.ClientID]*Link
}

func (v *moved) shard(c shared.ClientID) *movedShard {
	return &v.shards[mix(uint64(c))%movedShards]
}

// get returns the host of a client that has moved.
func (v *moved) get(c shared.ClientID) (host *Link, known bool) {
	s := v.shard(c)
	s.mu.RLock()
	defer s.mu.RUnlock()
	host, known = s.m[c]
	return host, known
}

// set notes where a client is now.
func (v *moved) set(c shared.ClientID, host *Link) {
	s := v.shard(c)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.m == nil {
		s.m = make(map[shared.ClientID]*Link)
	}
	before := len(s.m)
	s.m[c] = host
	v.count.Add(int64(len(s.m) - before))
}

// drop forgets a client: its host is the holder of its range again, or it is gone.
func (v *moved) drop(c shared.ClientID) {
	s := v.shard(c)
	s.mu.Lock()
	defer s.mu.Unlock()
	before := len(s.m)
	delete(s.m, c)
	v.count.Add(int64(len(s.m) - before))
	if len(s.m) == 0 {
		s.m = nil
	}
}

// give moves all clients of from on to another link.
func (v *moved) give(from, to *Link) {
	v.each(from, func(s *movedShard, c shared.ClientID) { s.m[c] = to })
}

// forget drops all clients of a link that is down.
func (v *moved) forget(host *Link) {
	v.each(host, func(s *movedShard, c shared.ClientID) { delete(s.m, c) })
}

func (v *moved) each(host *Link, f func(*movedShard, shared.ClientID)) {
	if v.count.Load() == 0 {
		return
	}
	for i := range v.shards {
		s := &v.shards[i]
		s.mu.Lock()
		before := len(s.m)
		for c, l := range s.m {
			if l == host {
				f(s, c)
			}
		}
		v.count.Add(int64(len(s.m) - before))
		s.mu.Unlock()
	}
}
