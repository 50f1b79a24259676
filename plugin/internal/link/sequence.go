package link

import (
	"sync"

	"github.com/antano/antano/shared"
	"github.com/antano/antano/shared/wire"
)

// sequences hands out the client sequences that the manager granted. A range is
// asked for when half of the last one is used, so that connecting never waits.
type sequences struct {
	process uint16 // ours
	mu      sync.Mutex
	ranges  []wire.Sequences
	left    uint64
	granted uint64 // size of the last range
	asked   bool
	all     []wire.Range // that this process answers for, touching ones merged
}

func (s *sequences) init(process uint16, first wire.Sequences) {
	s.process = process
	s.grant(first)
}

func (s *sequences) grant(r wire.Sequences) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked = false
	if r.Count > 0 {
		s.ranges = append(s.ranges, r)
		s.left += uint64(r.Count)
		s.granted = uint64(r.Count)
		s.note(wire.Range{Process: s.process, Sequences: r})
	}
}

// note remembers a range for good.
func (s *sequences) note(r wire.Range) {
	if n := len(s.all) - 1; n >= 0 && s.all[n].Process == r.Process && s.all[n].First+s.all[n].Count == r.First {
		s.all[n].Count += r.Count
		return
	}
	s.all = append(s.all, r)
}

// replay appends the ranges that this process answers for.
func (s *sequences) replay(dst []byte) []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range s.all {
		dst = wire.AppendRange(dst, &s.all[i])
	}
	return dst
}

// Ranges returns the client sequences that this process answers for to a successor of
// the manager.
func (l *Link) Ranges() []wire.Range {
	l.seq.mu.Lock()
	defer l.seq.mu.Unlock()
	return append([]wire.Range(nil), l.seq.all...)
}

// Inherit adds ranges that another process answered for.
func (l *Link) Inherit(ranges []wire.Range) {
	l.seq.mu.Lock()
	defer l.seq.mu.Unlock()
	for _, r := range ranges {
		l.seq.note(r)
	}
}

// Renounce forgets all ranges: another process answers for them. Ids are assigned from
// what the manager grants next.
func (l *Link) Renounce() {
	l.seq.mu.Lock()
	defer l.seq.mu.Unlock()
	l.seq.all, l.seq.ranges, l.seq.left = nil, nil, 0
}

// next returns a sequence, whether there was one, and whether to ask for more.
func (s *sequences) next() (seq uint32, ok, ask bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.ranges) > 0 {
		r := &s.ranges[0]
		seq, ok = r.First, true
		r.First, r.Count = r.First+1, r.Count-1
		s.left--
		if r.Count == 0 {
			s.ranges = s.ranges[1:]
		}
	}
	if !s.asked && s.left <= s.granted/2 {
		s.asked, ask = true, true
	}
	return seq, ok, ask
}

// NextClient returns an id that no client ever had, and false when the manager has
// not granted enough of them yet.
func (l *Link) NextClient() (shared.ClientID, bool) {
	seq, ok, ask := l.seq.next()
	if ask {
		if l.Control(func(dst []byte) []byte { return wire.AppendEmpty(dst, wire.TypeMoreSequences) }) == nil {
			l.Flush()
		}
	}
	return shared.NewClientID(l.welcome.Server, l.cfg.Hello.Process, seq), ok
}
