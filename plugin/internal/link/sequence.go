package link

import (
	"sync"

	"github.com/antano/antano/shared"
	"github.com/antano/antano/shared/wire"
)

// sequences hands out the client sequences that the manager granted. A range is
// asked for when half of the last one is used, so that connecting never waits.
type sequences struct {
	mu      sync.Mutex
	ranges  []wire.Sequences
	left    uint64
	granted uint64 // size of the last range
	asked   bool
	all     []wire.Sequences // that were ever granted, touching ones merged
}

func (s *sequences) init(first wire.Sequences) {
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
		s.note(r)
	}
}

// note remembers a range for good.
func (s *sequences) note(r wire.Sequences) {
	if n := len(s.all); n > 0 && s.all[n-1].First+s.all[n-1].Count == r.First {
		s.all[n-1].Count += r.Count
		return
	}
	s.all = append(s.all, r)
}

// replay appends the ranges that process was granted.
func (s *sequences) replay(dst []byte, process uint16) []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.all {
		dst = wire.AppendRange(dst, &wire.Range{Process: process, Sequences: r})
	}
	return dst
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
