package relay

import (
	"cmp"
	"slices"

	"github.com/antano/antano/shared"
	"github.com/antano/antano/shared/wire"
)

// holding is a range of client sequences and the link whose clients have them.
type holding struct {
	wire.Sequences
	link *Link
}

// holdings are those of one process id, sorted; touching ones of a link are merged.
// They are never changed, only replaced.
type holdings []holding

// find returns who holds a sequence, nil if nobody does.
func (h *holdings) find(sequence uint32) *Link {
	if h == nil {
		return nil
	}
	lo, hi := 0, len(*h)
	for lo < hi {
		mid := int(uint(lo+hi) / 2)
		switch s := &(*h)[mid]; {
		case sequence < s.First:
			hi = mid
		case sequence-s.First < s.Count:
			return s.link
		default:
			lo = mid + 1
		}
	}
	return nil
}

// with returns h and one range more.
func (h *holdings) with(add holding) *holdings {
	var all holdings
	if h != nil {
		all = slices.Clone(*h)
	}
	all = append(all, add)
	slices.SortFunc(all, func(a, b holding) int { return cmp.Compare(a.First, b.First) })
	return all.merge()
}

// withAll returns h and more ranges of one link; false when somebody holds a part of
// them.
func (h *holdings) withAll(ranges []wire.Sequences, l *Link) (*holdings, bool) {
	var all holdings
	if h != nil {
		all = slices.Clone(*h)
	}
	for _, s := range ranges {
		all = append(all, holding{s, l})
	}
	slices.SortFunc(all, func(a, b holding) int { return cmp.Compare(a.First, b.First) })
	for i := 1; i < len(all); i++ {
		if uint64(all[i-1].First)+uint64(all[i-1].Count) > uint64(all[i].First) {
			return nil, false
		}
	}
	return all.merge(), true
}

// given returns h with what from held in the hands of to; with nil it is gone.
func (h *holdings) given(from, to *Link) *holdings {
	var all holdings
	for _, s := range *h {
		if s.link == from {
			s.link = to
		}
		if s.link != nil {
			all = append(all, s)
		}
	}
	return all.merge()
}

// merge joins touching ranges of one link in place; nil when nothing is held.
func (h holdings) merge() *holdings {
	if len(h) == 0 {
		return nil
	}
	last := 0
	for _, s := range h[1:] {
		if p := &h[last]; p.link == s.link && p.First+p.Count == s.First {
			p.Count += s.Count
			continue
		}
		last++
		h[last] = s
	}
	clear(h[last+1:])
	h = h[:last+1]
	return &h
}

// host returns the link that has the client with the given id. With none, orphan
// says that the client lives on without a process.
func (r *Router) host(id int64) (l *Link, orphan bool) {
	c := shared.ClientID(id)
	if id <= 0 || !c.Valid() || c.Server() != r.cfg.ServerID {
		return nil, false
	}
	if r.moved.count.Load() > 0 {
		if l, known := r.moved.get(c); known {
			return l, l == nil
		}
	}
	return r.held[c.Process()].Load().find(c.Sequence()), false
}

// hold notes that l holds a range of sequences of a process id. r.mu is held.
func (r *Router) hold(process uint16, s wire.Sequences, l *Link) {
	if s.Count > 0 {
		h := &r.held[process]
		h.Store(h.Load().with(holding{s, l}))
	}
}

// bequeath gives all that from holds to another link, or to nobody. r.mu is held.
func (r *Router) bequeath(from, to *Link) {
	for p := range r.held {
		if h := r.held[p].Load(); h != nil {
			r.held[p].Store(h.given(from, to))
		}
	}
}
