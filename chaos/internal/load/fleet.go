package load

import (
	"context"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/antano/antano/chaos/internal/ledger"
)

// Config says what a fleet does.
type Config struct {
	Services []Service // parties and connectors use these
	Each     int       // parties for each service
	Handler  Service   // whose handler is addressed; its Address is the service id
	Calm     [][2]Service
	Rate     float64 // messages a second of each party
	IDs      float64 // part of the messages that have an id
	Pad      int     // bytes of filler in each message
	Groups   int
	Seed     uint64
	Dir      string // for sockets of datagram clients; short
	Book     *ledger.Book
}

// Fleet is the clients of one run.
type Fleet struct {
	cfg     Config
	handler int64
	cancel  context.CancelFunc
	running sync.WaitGroup
	sending atomic.Bool

	parties    []*party
	pingers    []*pinger
	connectors []*connector

	mu      sync.Mutex
	present []self
	members map[int64][]*ledger.Client
	losses  Losses
}

// self is a client as others address it.
type self struct {
	id     int64
	client *ledger.Client
}

// Losses is what happened to connections.
type Losses struct {
	Broken     int      // connections that ended
	Foreign    int      // of those, of processes that did not crash
	Refused    int      // connects, and datagrams that nobody was there for
	Renamed    int      // clients that got another id
	Unexpected []string // what clients got that makes no sense, the first of each kind
}

// Start connects all clients and returns when every party is a member of its group.
// handlerID is the id of the service in cfg.Handler.
func Start(ctx context.Context, cfg Config, handlerID int64) (*Fleet, error) {
	ctx, cancel := context.WithCancel(ctx)
	f := &Fleet{cfg: cfg, handler: handlerID, cancel: cancel, members: map[int64][]*ledger.Client{}}
	for _, s := range cfg.Services {
		for range cfg.Each {
			f.parties = append(f.parties, newParty(f, s, len(f.parties)))
		}
		if s.stream() {
			f.connectors = append(f.connectors, &connector{fleet: f, service: s})
		}
	}
	for _, pair := range cfg.Calm {
		f.pingers = append(f.pingers, &pinger{fleet: f, from: pair[0], to: pair[1]})
	}
	for _, p := range f.parties {
		f.running.Go(func() { p.run(ctx) })
	}
	for _, p := range f.parties {
		if err := p.awaitMember(ctx); err != nil {
			f.Stop()
			return nil, err
		}
	}
	for _, c := range f.connectors {
		f.running.Go(func() { c.run(ctx) })
	}
	for _, p := range f.pingers {
		f.running.Go(func() { p.run(ctx) })
	}
	f.sending.Store(true)
	return f, nil
}

// Pause makes the parties send nothing more; connectors and pingers go on.
func (f *Fleet) Pause() { f.sending.Store(false) }

// Stop ends all clients and waits for their goroutines.
func (f *Fleet) Stop() {
	f.cancel()
	for _, p := range f.parties {
		p.close()
	}
	f.running.Wait()
}

// Losses says what happened to connections so far.
func (f *Fleet) Losses() Losses {
	f.mu.Lock()
	defer f.mu.Unlock()
	l := f.losses
	l.Unexpected = slices.Clone(l.Unexpected)
	return l
}

// Everybody reports whether every party is connected and a member of its group.
func (f *Fleet) Everybody() bool {
	for _, p := range f.parties {
		if !p.isMember() {
			return false
		}
	}
	return true
}

func (f *Fleet) note(change func(*Losses)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change(&f.losses)
}

// unexpected keeps what makes no sense.
func (f *Fleet) unexpected(text string) {
	f.note(func(l *Losses) {
		if len(l.Unexpected) < 20 && !slices.Contains(l.Unexpected, text) {
			l.Unexpected = append(l.Unexpected, text)
		}
	})
}

// arrive makes a client known to others.
func (f *Fleet) arrive(s self) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.present = append(f.present, s)
}

// join makes a client a known member of a group.
func (f *Fleet) join(group int64, c *ledger.Client) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !slices.Contains(f.members[group], c) {
		f.members[group] = append(slices.Clone(f.members[group]), c)
	}
}

// depart makes a client unknown to others.
func (f *Fleet) depart(c *ledger.Client) {
	f.cfg.Book.Ended(c, time.Now())
	f.mu.Lock()
	defer f.mu.Unlock()
	f.present = slices.DeleteFunc(f.present, func(s self) bool { return s.client == c })
	for g, members := range f.members {
		f.members[g] = slices.DeleteFunc(slices.Clone(members), func(m *ledger.Client) bool { return m == c })
	}
}

// anybody picks a client other than c.
func (f *Fleet) anybody(r *rand.Rand, c *ledger.Client) (self, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.present) == 0 {
		return self{}, false
	}
	s := f.present[r.IntN(len(f.present))]
	return s, s.client != c
}

// membersOf returns who is known to be in a group; the slice is not changed any more.
func (f *Fleet) membersOf(group int64) []*ledger.Client {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.members[group]
}
