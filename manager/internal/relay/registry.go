package relay

import (
	"sync"

	"github.com/antano/antano/shared"
	"github.com/antano/antano/shared/wire"
)

const (
	// defaultMaxClients is what a zero Launch.MaxClients means.
	defaultMaxClients = 100_000
	// maxMembers is how many memberships are kept for the sources of one service.
	maxMembers = 4 << 20
)

// registry knows the datagram clients of one service that outlive their process. Who
// has them is what Router.host says; nobody does while their process is gone. r.mu
// comes before mu.
type registry struct {
	mu      sync.Mutex
	sources map[shared.ClientID]*source
	slots   [wire.MaxSlots]map[shared.ClientID]*source // the same by their slot
	members int
}

type groupKey struct {
	name string
	id   int64
}

// source is one datagram client.
type source struct {
	by     *Link // who said it, or was told to restore it
	slot   uint8
	state  []byte
	groups map[groupKey]struct{}
}

// keep notes a source or its new state; false when there are too many.
func (g *registry) keep(l *Link, s *wire.Source) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	src := g.sources[s.Client]
	switch {
	case src != nil:
		g.unlist(s.Client, src)
	case len(g.sources) >= l.launch.MaxClients:
		return false
	default:
		src = &source{}
		if g.sources == nil {
			g.sources = make(map[shared.ClientID]*source)
		}
		g.sources[s.Client] = src
	}
	src.by, src.slot, src.state = l, s.Slot, append([]byte(nil), s.State...)
	if g.slots[s.Slot] == nil {
		g.slots[s.Slot] = make(map[shared.ClientID]*source)
	}
	g.slots[s.Slot][s.Client] = src
	return true
}

func (g *registry) unlist(c shared.ClientID, src *source) {
	delete(g.slots[src.slot], c)
	if len(g.slots[src.slot]) == 0 {
		g.slots[src.slot] = nil
	}
}

// drop forgets a source for one of the links that may say so. mu is held.
func (g *registry) drop(c shared.ClientID) {
	if src := g.sources[c]; src != nil {
		g.unlist(c, src)
		g.members -= len(src.groups)
		delete(g.sources, c)
	}
}

// by returns who registered a source, nil when it is not known.
func (g *registry) by(c shared.ClientID) *Link {
	g.mu.Lock()
	defer g.mu.Unlock()
	if src := g.sources[c]; src != nil {
		return src.by
	}
	return nil
}

// join notes that a source is in a group, leave that it is not; false when it is not
// known or there are too many.
func (g *registry) join(m *wire.Member) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	src := g.sources[m.Client]
	k := groupKey{string(m.Entity), m.ID}
	if src == nil || g.members >= maxMembers {
		return false
	}
	if src.groups == nil {
		src.groups = make(map[groupKey]struct{})
	}
	if _, known := src.groups[k]; !known {
		src.groups[k] = struct{}{}
		g.members++
	}
	return true
}

func (g *registry) leave(m *wire.Member) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	src := g.sources[m.Client]
	k := groupKey{string(m.Entity), m.ID}
	if src == nil {
		return false
	}
	if _, known := src.groups[k]; known {
		delete(src.groups, k)
		g.members--
	}
	return true
}

// on lists the sources on some slots that host returns true for.
func (g *registry) on(slots uint64, host func(shared.ClientID) bool) (found []shared.ClientID) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for slot, sources := range g.slots {
		if slots&(1<<slot) == 0 {
			continue
		}
		for c := range sources {
			if host(c) {
				found = append(found, c)
			}
		}
	}
	return found
}
