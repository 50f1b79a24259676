package socket

import (
	"bytes"
	"iter"
	"net/netip"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/antano/antano/plugin"
)

// source is one sender of datagrams, and the way back to it.
type source struct {
	slot    *slot
	key     sourceKey
	asked   ancillary // the address it asked, on a wildcard socket
	next    *source   // same key, other address asked; guarded by slot.mu
	client  plugin.Client
	address string
	to      sockaddr
	control []byte
	seen    int64 // when it was last heard, Unix nanoseconds; guarded by slot.mu
	touched bool  // the reader's: has something to flush

	given bool // is on its way to another process; guarded by slot.mu
	// A source that came from another process is asleep until all that came before its next
	// datagram was taken. Guarded by slot.mu.
	asleep  bool
	resumed bool          // the other process does not speak for it any more
	left    [][]byte      // messages to be taken before all others
	brought int           // how many of them came with it
	waking  chan struct{} // closed when nobody takes them at the moment

	closed      atomic.Bool
	interrupted atomic.Bool
	full        time.Time // since when the receiver takes nothing, zero while it does; Write's
}

// sourceOf returns the source of a datagram, a new one when it was not heard
// before. The error is that of Endpoint.Connect.
func (sl *slot) sourceOf(d *datagram, now int64) (*source, error) {
	sl.mu.Lock()
	src := sl.find(d.from, d.anc.local)
	if src != nil {
		// Under the lock, so that the sweeper does not forget it meanwhile.
		src.seen = now
	}
	sl.mu.Unlock()
	if src != nil {
		return src, nil
	}
	src = sl.newSource(d.from, d.anc)
	src.seen = now
	var err error
	if src.client, err = sl.service.endpoint.Connect(src.address, src.writer()); err != nil {
		return nil, err
	}
	sl.add(src)
	return src, nil
}

// newSource makes a source that is in no table yet. from is not kept.
func (sl *slot) newSource(from sockaddr, asked ancillary) *source {
	key := keyOf(from)
	return &source{slot: sl, key: key, asked: asked, address: key.String(), to: bytes.Clone(from), control: sl.answerFrom(asked)}
}

// writer is the way back, nil without one.
func (src *source) writer() plugin.Writer {
	if src.key == (sourceKey{}) {
		return nil
	}
	return src
}

func (sl *slot) add(src *source) {
	sl.mu.Lock()
	defer sl.mu.Unlock()
	src.next = sl.sources[src.key]
	sl.sources[src.key] = src
}

// find returns a known source, or nil. The caller holds sl.mu.
func (sl *slot) find(from sockaddr, local netip.Addr) *source {
	var src *source
	if from.family() == unix.AF_UNIX {
		src = sl.sources[sourceKey{path: string(from.name())}] // makes no string
	} else {
		src = sl.sources[keyOf(from)]
	}
	for src != nil && src.asked.local != local {
		src = src.next
	}
	return src
}

// remove forgets one source.
func (sl *slot) remove(gone *source, cause error) {
	sl.forget(func(src *source) bool { return src == gone }, endSource(cause), gone.key)
}

// endSource closes the client of a source.
func endSource(cause error) func(*source) {
	return func(src *source) {
		src.closed.Store(true)
		src.release()
		src.client.Close(cause)
	}
}

// forget takes all sources that are gone out of the table, among the given keys or all,
// and then calls end with each.
func (sl *slot) forget(gone func(*source) bool, end func(*source), keys ...sourceKey) {
	var closed []*source
	sl.mu.Lock()
	if keys == nil {
		for key := range sl.sources {
			closed = sl.unlink(key, gone, closed)
		}
	}
	for _, key := range keys {
		closed = sl.unlink(key, gone, closed)
	}
	sl.mu.Unlock()
	for _, src := range closed {
		end(src)
	}
}

// unlink takes what is gone out of one chain. The caller holds sl.mu.
func (sl *slot) unlink(key sourceKey, gone func(*source) bool, closed []*source) []*source {
	var kept *source
	for src := sl.sources[key]; src != nil; {
		next := src.next
		if gone(src) {
			closed = append(closed, src)
		} else {
			src.next, kept = kept, src
		}
		src = next
	}
	if kept == nil {
		delete(sl.sources, key)
	} else {
		sl.sources[key] = kept
	}
	return closed
}

// all goes through the table. The caller holds sl.mu and changes no chain.
func (sl *slot) all() iter.Seq[*source] {
	return func(yield func(*source) bool) {
		for _, src := range sl.sources {
			for ; src != nil; src = src.next {
				if !yield(src) {
					return
				}
			}
		}
	}
}

// leaving marks the sources that can go to another process as given.
func (sl *slot) leaving() (all []*source) {
	sl.mu.Lock()
	defer sl.mu.Unlock()
	for src := range sl.all() {
		if src.stays() && src.waking == nil && !src.closed.Load() {
			src.given = true
			all = append(all, src)
		}
	}
	return all
}

// sourceAt returns the client of the datagram source with the given address.
func (s *SocketService) sourceAt(address string) plugin.Client {
	key := keyOfName(address)
	for _, sl := range s.allSlots() {
		sl.mu.Lock()
		src := sl.sources[key]
		sl.mu.Unlock()
		if src != nil && key != (sourceKey{}) {
			return src.client
		}
	}
	return nil
}
