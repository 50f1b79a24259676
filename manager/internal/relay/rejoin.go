package relay

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/antano/antano/shared"
	"github.com/antano/antano/shared/wire"
)

// adopted is what a link has beside others whose process served an earlier manager.
type adopted struct {
	rejoined chan struct{} // closed when the process has told what it knows
	ranges   []wire.Range  // of the reader, until then
	reading  uint64        // slots, before rejoined is closed; then constant
	holds    bool          // it told ranges; likewise
}

const (
	// adoptedStrays is how many results for an earlier manager a process may send.
	adoptedStrays = 1 << indexBits
	// maxRanges bounds the ranges that a process says it holds.
	maxRanges = 1 << 20
)

// expectRejoin prepares the link of a process that is to rejoin. Its tokens begin where
// none that an earlier manager gave out is still open.
func (l *Link) expectRejoin() {
	l.adopted.rejoined = make(chan struct{})
	l.pending.check = uint64(time.Now().UnixMicro()) & (1<<(63-indexBits) - 1)
	l.pending.expired = adoptedStrays
}

// Rejoined is closed when an adopted process has told which clients and groups it has,
// nil for others.
func (l *Link) Rejoined() <-chan struct{} { return l.adopted.rejoined }

// Reading are the slots that an adopted process read when it rejoined. It is called
// after Rejoined is closed.
func (l *Link) Reading() uint64 { return l.adopted.reading }

// Holds reports whether an adopted process said that it holds client ids: one that has
// handed all of its clients over does not. It is called after Rejoined is closed.
func (l *Link) Holds() bool { return l.adopted.holds }

// Open makes the router route: a router that was made with Config.Held reads no
// message before. It is called once.
func (r *Router) Open() { close(r.opened) }

// awaitOpen returns when the router routes, or ctx ends.
func (r *Router) awaitOpen(ctx context.Context) {
	select {
	case <-r.opened:
	case <-ctx.Done():
	}
}

// replay reads what an adopted process tells before it says that this is all.
func (l *Link) replay(in *wire.Reader) error {
	for {
		f, err := in.Next()
		if err != nil {
			return err
		}
		switch f.Type {
		case wire.TypeRejoined:
			if err = l.takeRanges(); err == nil {
				close(l.adopted.rejoined)
			}
			return err
		case wire.TypeRange:
			err = l.rangeHeld(f.Body)
		case wire.TypeSlotsOK:
			l.adopted.reading, err = wire.ParseU64(f.Body)
		case wire.TypeSenders:
			err = l.seatSenders(f.Body)
		case wire.TypeMetric:
			err = l.metric(f.Body)
		case wire.TypeSubscribe, wire.TypeSource, wire.TypeMember:
			if err = errors.Join(l.takeRanges(), l.claim(f)); err == nil {
				l.enter()
				err = l.frame(f)
				l.exit()
			}
		default:
			if f.Type.Optional() {
				continue
			}
			err = fmt.Errorf("%w: %s before rejoined", wire.ErrFrame, f.Type)
		}
		if err != nil {
			return err
		}
		if in.Dry() {
			l.reader.out.flush()
		}
	}
}

// repeated is what a process told, or began to tell, a manager that it lost meanwhile.
func (l *Link) repeated(f wire.Frame) error {
	if !l.launch.Adopted {
		return fmt.Errorf("%w: %s from a process that did not rejoin", wire.ErrFrame, f.Type)
	}
	return nil
}

func (l *Link) rangeHeld(body []byte) error {
	var v wire.Range
	if err := v.Parse(body); err != nil {
		return err
	}
	if v.Process > shared.MaxProcessID || v.First == 0 || v.Count == 0 || uint64(v.First)+uint64(v.Count) > 1<<32 || len(l.adopted.ranges) >= maxRanges {
		return fmt.Errorf("%w: process %d cannot hold %d sequences from %d", wire.ErrFrame, v.Process, v.Count, v.First)
	}
	l.adopted.ranges, l.adopted.holds = append(l.adopted.ranges, v), true
	return nil
}

// claim makes l the host of a source that had moved to its process from a sibling.
func (l *Link) claim(f wire.Frame) error {
	if f.Type != wire.TypeSource {
		return nil
	}
	var s wire.Source
	if err := s.Parse(f.Body); err != nil {
		return err
	}
	l.r.mu.Lock()
	defer l.r.mu.Unlock()
	if host, _ := l.r.host(int64(s.Client)); host != l && l.mayClaim(s.Client.Process(), host) {
		l.r.moved.set(s.Client, l)
	}
	return nil
}

// mayClaim reports whether clients of l can have ids of a process: one of its own service,
// or one that no service has any more, whose clients went when it was scaled away. r.mu
// is held.
func (l *Link) mayClaim(process uint16, host *Link) bool {
	if slices.Contains(l.r.listed[l.launch.Service], process) {
		return true
	}
	for _, processes := range l.r.listed {
		if slices.Contains(processes, process) {
			return false
		}
	}
	return host == nil
}

// takeRanges gives the process what it holds. Nobody gets what another holds.
func (l *Link) takeRanges() error {
	if len(l.adopted.ranges) == 0 {
		return nil
	}
	r := l.r
	r.mu.Lock()
	defer r.mu.Unlock()
	byProcess := make(map[uint16][]wire.Sequences)
	for _, v := range l.adopted.ranges {
		byProcess[v.Process] = append(byProcess[v.Process], v.Sequences)
		r.granted[v.Process] = max(r.granted[v.Process], uint64(v.First)+uint64(v.Count))
	}
	for process, ranges := range byProcess {
		h, ok := r.held[process].Load().withAll(ranges, l)
		if !ok {
			return fmt.Errorf("%w: it holds sequences of process %d that another has", wire.ErrFrame, process)
		}
		r.held[process].Store(h)
	}
	l.adopted.ranges = nil
	return nil
}

// Sequences are, by process id, those from which on no client has one yet.
func (r *Router) Sequences() map[int]uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	next := make(map[int]uint64)
	for p, n := range r.granted {
		next[int(p)] = n
	}
	return next
}

// SkipTo has the router grant no sequence below the given ones. Call it before Serve.
func (r *Router) SkipTo(next map[int]uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for p, n := range next {
		if p >= 0 && p <= shared.MaxProcessID {
			r.granted[uint16(p)] = max(r.granted[uint16(p)], min(n, 1<<32))
		}
	}
}
