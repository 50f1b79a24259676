package relay

import (
	"context"
	"errors"
	"fmt"

	"github.com/antano/antano/shared"
	"github.com/antano/antano/shared/wire"
)

// allSlots is every slot that there is.
const allSlots = ^uint64(0)

// registryOf returns the registry of a service. r.mu is held.
func (r *Router) registryOf(service int64) *registry {
	g := r.registries[service]
	if g == nil {
		g = &registry{}
		r.registries[service] = g
	}
	return g
}

// onSlots lists the datagram clients that a link has on some slots.
func (r *Router) onSlots(l *Link, slots uint64) []shared.ClientID {
	return l.sources.on(slots, func(c shared.ClientID) bool {
		host, _ := r.host(int64(c))
		return host == l
	})
}

// orphaned notes the sources of a link that has gone down as clients without a process;
// those of a service that is no more are gone. r.mu is held.
func (r *Router) orphaned(l *Link, sources []shared.ClientID) {
	for _, c := range sources {
		r.moved.set(c, nil)
	}
	if _, listed := r.listed[l.launch.Service]; !listed && r.listed != nil {
		r.forgetOrphans(l.sources)
	}
}

// forgetOrphans drops what no process has. r.mu is held.
func (r *Router) forgetOrphans(g *registry) {
	orphans := g.on(allSlots, r.isOrphan)
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, c := range orphans {
		g.drop(c)
		r.moved.drop(c)
	}
}

func (r *Router) isOrphan(c shared.ClientID) bool {
	_, orphan := r.host(int64(c))
	return orphan
}

// restoreAtATime is how many sources are restored with the router's lock held.
const restoreAtATime = 128

// restore gives the sources on some slots that no process has to l, and tells it so.
func (l *Link) restore(ctx context.Context, slots uint64) error {
	orphans := l.sources.on(slots, l.r.isOrphan)
	for len(orphans) > 0 {
		n, err := l.adopt(orphans[:min(restoreAtATime, len(orphans))])
		if err != nil {
			return err
		}
		orphans = orphans[n:]
		l.queue.Flush()
		select {
		case <-l.queue.Space():
		case <-l.down:
			return fmt.Errorf("%w: %s", ErrDown, l)
		case <-ctx.Done():
			return fmt.Errorf("%s does not read what it has to restore: %w", l, ctx.Err())
		}
	}
	return nil
}

// adopt makes l the host of orphans, as many as its queue takes. What is for them is
// queued behind what l is told.
func (l *Link) adopt(orphans []shared.ClientID) (n int, err error) {
	r, g := l.r, l.sources
	r.mu.Lock()
	defer r.mu.Unlock()
	g.mu.Lock()
	defer g.mu.Unlock()
	if l.state != stateUp {
		return 0, fmt.Errorf("%w: %s", ErrDown, l)
	}
	for n, c := range orphans {
		src := g.sources[c]
		if src == nil || !r.isOrphan(c) {
			continue // it was restored elsewhere, or its service ended
		}
		err := l.queue.PutControl(func(dst []byte) []byte { return appendRestore(dst, c, src) })
		if errors.Is(err, wire.ErrFull) {
			return n, nil
		}
		if err != nil {
			return n, fmt.Errorf("%w: %s", ErrDown, l)
		}
		src.by = l
		r.moved.set(c, l)
	}
	return len(orphans), nil
}

func appendRestore(dst []byte, c shared.ClientID, src *source) []byte {
	dst = wire.AppendSource(dst, wire.TypeRestore, &wire.Source{Client: c, Slot: src.slot, State: src.state})
	for k := range src.groups {
		dst = wire.AppendMember(dst, wire.TypeMember, &wire.Member{Client: c, ID: k.id, Entity: []byte(k.name)})
	}
	return dst
}

// source handles source: a client of l that is to outlive it.
func (l *Link) source(body []byte) error {
	var s wire.Source
	if err := s.Parse(body); err != nil {
		return err
	}
	if host, _ := l.r.host(int64(s.Client)); host != l || !l.sources.keep(l, &s) {
		l.counters.strays.Add(1)
	}
	return nil
}

// sourceGone handles source gone. A client that stayed behind in a move ends where it
// was registered.
func (l *Link) sourceGone(body []byte) error {
	v, err := wire.ParseU64(body)
	if err != nil {
		return err
	}
	c := shared.ClientID(v)
	by := l.sources.by(c)
	if host, _ := l.r.host(int64(c)); by == nil || host != l && by != l {
		l.counters.strays.Add(1)
		return nil
	}
	l.sources.mu.Lock()
	l.sources.drop(c)
	l.sources.mu.Unlock()
	l.r.moved.drop(c)
	return nil
}

// member handles member and no member.
func (l *Link) member(f wire.Frame) error {
	var m wire.Member
	if err := m.Parse(f.Body); err != nil {
		return err
	}
	note := l.sources.join
	if f.Type == wire.TypeNoMember {
		note = l.sources.leave
	}
	if host, _ := l.r.host(int64(m.Client)); host != l || !note(&m) {
		l.counters.strays.Add(1)
	}
	return nil
}
