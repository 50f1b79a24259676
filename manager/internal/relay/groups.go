package relay

import (
	"slices"
	"sync"

	"github.com/antano/antano/shared/grouptable"
)

const (
	groupShards = 256
	// maxGroups is how many groups one process may subscribe to.
	maxGroups = 4 << 20
)

// groups knows which processes have members of a group; the members themselves
// live in the processes.
type groups struct {
	shards [groupShards]groupShard
}

// groupShard is one part of the table, of two cache lines of its own.
type groupShard struct {
	mu    sync.RWMutex
	table grouptable.Table[*audience]
}

// audience is the processes of one group, or of all groups that have only that one. It is
// never changed, only replaced, so a reader keeps it without the lock.
type audience struct{ links []*Link }

// nobody is the audience of groups that are not there.
var nobody audience

func (g *groups) shard(hash uint64) *groupShard { return &g.shards[hash>>56] }

// get returns the processes of a group.
func (g *groups) get(name []byte, id int64) []*Link {
	hash := grouptable.Hash(name, id)
	s := g.shard(hash)
	s.mu.RLock()
	a := s.table.Get(hash, name, id)
	s.mu.RUnlock()
	if a == nil {
		return nil
	}
	return a.links
}

// add subscribes l; false when it has too many groups.
func (g *groups) add(l *Link, name []byte, id int64) bool {
	hash := grouptable.Hash(name, id)
	s := g.shard(hash)
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.table.Get(hash, name, id)
	if a == nil {
		a = &nobody
	}
	if slices.Contains(a.links, l) {
		return true
	}
	if l.groups.Load() >= maxGroups {
		return false
	}
	l.groups.Add(1)
	s.table.Put(hash, name, id, a.with(l))
	return true
}

// remove unsubscribes l.
func (g *groups) remove(l *Link, name []byte, id int64) {
	hash := grouptable.Hash(name, id)
	s := g.shard(hash)
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.table.Get(hash, name, id)
	if a == nil || !slices.Contains(a.links, l) {
		return
	}
	l.groups.Add(-1)
	if a = a.without(l); len(a.links) > 0 {
		s.table.Put(hash, name, id, a)
	} else {
		s.table.Delete(hash, name, id)
	}
}

// forget unsubscribes l from everything.
func (g *groups) forget(l *Link) {
	for i := range g.shards {
		s := &g.shards[i]
		s.mu.Lock()
		s.table.All(func(_ string, _ int64, a **audience) bool {
			if slices.Contains((*a).links, l) {
				l.groups.Add(-1)
				*a = (*a).without(l)
			}
			return len((*a).links) > 0
		})
		s.mu.Unlock()
	}
}

// with returns a and l, which is not among them.
func (a *audience) with(l *Link) *audience {
	if len(a.links) == 0 {
		return &l.alone
	}
	return &audience{slices.Concat(a.links, []*Link{l})}
}

// without returns a except for l, which is among them.
func (a *audience) without(l *Link) *audience {
	switch len(a.links) {
	case 1:
		return &nobody
	case 2:
		i := slices.Index(a.links, l)
		return &a.links[1-i].alone
	}
	return &audience{slices.DeleteFunc(slices.Clone(a.links), func(o *Link) bool { return o == l })}
}
