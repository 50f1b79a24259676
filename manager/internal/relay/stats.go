package relay

import (
	"sync/atomic"

	"github.com/antano/antano/shared"
)

type counters struct {
	frames, bytes, strays atomic.Uint64
	from, to              [shared.NumCodes]atomic.Uint64
}

// Stats are the counters of one link since it came up. A reader that is busy shows
// what it read once for each buffer of input.
type Stats struct {
	FramesIn, BytesIn   uint64 // read from the process
	FramesOut, BytesOut uint64 // queued for it
	QueuedBytes         int    // waiting to be written to it
	Groups              int    // it subscribes to
	Open                int    // messages that it has not answered yet
	Lanes               int    // destinations that it has sent to
	// Strays counts frames that made no sense and were ignored: results that were
	// forged or late, pauses for other processes' clients, late health answers.
	Strays uint64
	// DropsFrom counts messages of this process that the router refused or that
	// were lost at a full queue, where no result was wanted: nobody else counts
	// them. With a token, the process is told and counts by itself.
	DropsFrom [shared.NumCodes]uint64
	// DropsTo counts messages that did not fit into the queue of this process
	// (overloaded), and those without a token that it had not acknowledged when its
	// link went down (process_lost); of a process that never does, those that were not
	// written.
	DropsTo [shared.NumCodes]uint64
}

// publish shows what the reader has counted.
func (l *Link) publish() {
	l.counters.frames.Store(l.reader.frames)
	l.counters.bytes.Store(l.reader.bytes)
	l.acks.mu.Lock()
	l.acks.read = l.reader.read
	l.acks.mu.Unlock()
}

// Stats returns a snapshot; zero before the link is up.
func (l *Link) Stats() Stats {
	s := Stats{FramesIn: l.counters.frames.Load(), BytesIn: l.counters.bytes.Load(),
		Groups: int(l.groups.Load()), Lanes: int(l.lanes.count.Load()), Open: l.pending.count(), Strays: l.counters.strays.Load()}
	for i := range s.DropsFrom {
		s.DropsFrom[i], s.DropsTo[i] = l.counters.from[i].Load(), l.counters.to[i].Load()
	}
	select {
	case <-l.up:
		q := l.queue.Stats()
		s.FramesOut, s.BytesOut, s.QueuedBytes = q.Frames, q.Bytes, q.Queued
	default:
	}
	return s
}
