package relay

import (
	"encoding/json"
	"fmt"

	"github.com/antano/antano/shared"
)

// maxSnapshot is how many open messages a snapshot has at most; what is beyond ends as
// timeout at its source.
const maxSnapshot = 1 << 18

// snapshot is what waits for results, for a router that goes on in this one's place. It
// names links and aggregates by where they are in its lists.
type snapshot struct {
	Links []snapshotLink  `json:"links"`
	Open  []snapshotEntry `json:"open"`
	Sums  []snapshotSum   `json:"sums,omitempty"`
	Seats []snapshotSeats `json:"seats,omitempty"`
}

type snapshotLink struct {
	Process    uint16 `json:"p"`
	Generation uint32 `json:"g"`
}

type snapshotEntry struct {
	At    int    `json:"at"` // link
	Token uint64 `json:"k"`
	From  int    `json:"from"` // link
	Asked uint64 `json:"ask"`  // token of the source
	Age   uint32 `json:"age"`  // ticks
	Group bool   `json:"grp,omitempty"`
	Sum   int    `json:"sum,omitempty"` // aggregate + 1
}

type snapshotSum struct {
	Delivered uint32                 `json:"d"`
	Failed    map[shared.Code]uint32 `json:"f,omitempty"`
}

// Snapshot returns what is open, for Restore. It is called behind Quiet: what is
// answered meanwhile is answered twice, and a source takes the first one.
func (r *Router) Snapshot() ([]byte, error) {
	resume := r.halt()
	defer resume()
	links, sums := map[*Link]int{}, map[*aggregate]int{}
	var s snapshot
	at := func(l *Link) int {
		i, known := links[l]
		if !known {
			i = len(s.Links)
			links[l] = i
			s.Links = append(s.Links, snapshotLink{l.launch.Process, l.launch.Generation})
		}
		return i
	}
	now := r.now()
	for _, l := range *r.up.Load() {
		l.pending.each(maxSnapshot-len(s.Open), func(token uint64, e *entry) {
			open := snapshotEntry{At: at(l), Token: token, Age: uint32(max(int32(now-e.born), 0)), Group: e.multi}
			src := e.src
			if e.all != nil {
				i, known := sums[e.all]
				if !known {
					i = len(s.Sums)
					sums[e.all] = i
					s.Sums = append(s.Sums, e.all.snapshot())
				}
				open.Sum = i + 1
				src, open.Asked = e.all.src, e.all.sum.Token
			} else {
				open.Asked = e.token
			}
			open.From = at(src)
			s.Open = append(s.Open, open)
		})
	}
	s.Seats = r.snapshotSeats()
	b, err := json.Marshal(&s)
	if err != nil {
		return nil, fmt.Errorf("encode what is open at the processes: %w", err)
	}
	return b, nil
}

func (a *aggregate) snapshot() snapshotSum {
	a.mu.Lock()
	defer a.mu.Unlock()
	s := snapshotSum{Delivered: a.sum.Delivered}
	for _, f := range a.sum.Failures() {
		if s.Failed == nil {
			s.Failed = make(map[shared.Code]uint32)
		}
		s.Failed[f.Code] += f.Count
	}
	return s
}

// each calls f with at most n entries, oldest first. f must not use the slab.
func (s *slab) each(n int, f func(token uint64, e *entry)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := s.head; i != 0 && n > 0; n-- {
		e := s.at(i - 1)
		f(e.check<<indexBits|uint64(i-1), e)
		i = e.next
	}
}

// Restore takes up what a router had open that this one goes on for. It is called once,
// before Open, when the processes have rejoined: what is open at one that has not is
// answered process_lost, what was asked by one that has not is forgotten.
func (r *Router) Restore(b []byte) error {
	var s snapshot
	if err := json.Unmarshal(b, &s); err != nil {
		return fmt.Errorf("decode what was open at the processes: %w", err)
	}
	if err := s.check(); err != nil {
		return err
	}
	links := r.linksOf(s.Links)
	sums := make([]*aggregate, len(s.Sums))
	at := make(map[*Link][]restored)
	var lost []entry
	now := r.now()
	for _, o := range s.Open {
		src := links[o.From]
		if src == nil {
			continue
		}
		e := entry{src: src, token: o.Asked, born: now - o.Age, multi: o.Group}
		if o.Sum > 0 {
			e.all = s.Sums[o.Sum-1].join(&sums[o.Sum-1], src, o.Asked)
		}
		if l := links[o.At]; l != nil {
			at[l] = append(at[l], restored{o.Token, e})
		} else {
			lost = append(lost, e)
		}
	}
	var out outbox
	for l, entries := range at {
		lost = append(lost, l.pending.restore(entries)...)
	}
	for i := range lost {
		lost[i].fail(shared.CodeProcessLost, &out)
	}
	out.flush()
	r.rouse()
	r.restoreSeats(s.Seats)
	return nil
}

// check refuses what no router has written.
func (s *snapshot) check() error {
	for i, o := range s.Open {
		if o.At < 0 || o.At >= len(s.Links) || o.From < 0 || o.From >= len(s.Links) || o.Sum < 0 || o.Sum > len(s.Sums) ||
			o.Sum > 0 && !o.Group || o.Asked == 0 || o.Token>>indexBits == 0 {
			return fmt.Errorf("what was open at the processes: entry %d makes no sense", i)
		}
	}
	for i, sum := range s.Sums {
		for c := range sum.Failed {
			if c == shared.CodeNone || int(c) >= shared.NumCodes {
				return fmt.Errorf("what was open at the processes: sum %d makes no sense", i)
			}
		}
	}
	return nil
}

// linksOf finds those of a snapshot that are up, nil for the others.
func (r *Router) linksOf(names []snapshotLink) []*Link {
	up := make(map[launchKey]*Link)
	for _, l := range *r.up.Load() {
		up[l.key()] = l
	}
	links := make([]*Link, len(names))
	for i, n := range names {
		links[i] = up[launchKey{n.Process, n.Generation}]
	}
	return links
}

// join returns the aggregate of s, which waits for one result more.
func (s *snapshotSum) join(a **aggregate, src *Link, token uint64) *aggregate {
	if *a == nil {
		*a = newAggregate(src, token, 0)
		(*a).sum.Delivered = s.Delivered
		for code, n := range s.Failed {
			(*a).sum.Fail(code, n)
		}
	}
	(*a).open++
	return *a
}

// restored is an entry and its token.
type restored struct {
	token uint64
	entry
}

// restore puts entries, oldest first, where their tokens say, into a slab that had none
// yet, and returns those that cannot be there.
func (s *slab) restore(entries []restored) (refused []entry) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range entries {
		i := uint32(e.token & (1<<indexBits - 1))
		fits := !s.closed
		for fits && int(i>>chunkBits) >= len(s.chunks) {
			fits = s.grow()
		}
		if !fits || s.at(i).check != 0 {
			refused = append(refused, e.entry)
			continue
		}
		slot := s.at(i)
		*slot = e.entry
		slot.check, slot.prev, slot.next = e.token>>indexBits, s.tail, 0
		if s.tail != 0 {
			s.at(s.tail - 1).next = i + 1
		} else {
			s.head = i + 1
		}
		s.tail = i + 1
		s.open++
		s.check = max(s.check, slot.check)
	}
	s.relink()
	return refused
}

// relink makes the list of free entries anew.
func (s *slab) relink() {
	s.free = 0
	for i := range uint32(len(s.chunks)) << chunkBits {
		if slot := s.at(i); slot.check == 0 {
			slot.next = s.free
			s.free = i + 1
		}
	}
}
