package load

import (
	"context"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/antano/antano/chaos/internal/ledger"
)

// Sleep makes one party whose transport tells its server so stop reading for d, and
// returns its name. It returns at once.
func (f *Fleet) Sleep(r *rand.Rand, d time.Duration) string {
	p := f.pick(r, func(p *party) bool { return p.service.Network != "udp" })
	until := time.Now().Add(d)
	p.mu.Lock()
	p.asleep = until
	p.mu.Unlock()
	return p.name
}

// Flood has one party of each network send messages of size bytes to the party with
// this name, as fast as it is let, and returns after d. For an empty name they go to
// the handler.
func (f *Fleet) Flood(ctx context.Context, r *rand.Rand, networks []string, name string, size int, d time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	var flooders sync.WaitGroup
	for _, n := range networks {
		p := f.pick(r, func(p *party) bool { return p.service.Network == n && p.name != name })
		seed := r.Uint64()
		flooders.Go(func() { p.flood(ctx, rand.New(rand.NewPCG(seed, 0)), name, size) })
	}
	flooders.Wait()
}

func (f *Fleet) pick(r *rand.Rand, ok func(*party) bool) *party {
	fit := slices.DeleteFunc(slices.Clone(f.parties), func(p *party) bool { return !ok(p) })
	return fit[r.IntN(len(fit))]
}

// floodPause is what a sender that nothing holds back leaves between two messages:
// datagram sockets let everything pass.
const floodPause = 200 * time.Microsecond

// flood sends until ctx ends or the connection does.
func (p *party) flood(ctx context.Context, r *rand.Rand, name string, size int) {
	f := p.fleet
	pad := slices.Repeat([]byte("x"), size)
	for ctx.Err() == nil {
		p.mu.Lock()
		client, c := p.client, p.conn
		p.mu.Unlock()
		if client == nil {
			return
		}
		entity, entityID, address, to := "service", f.handler, ledger.HandlerAddress(f.cfg.Handler.Name), client
		if name != "" {
			s, ok := f.named(name)
			if !ok {
				return
			}
			entity, entityID, address, to = "client", s.id, "client/"+name, s.client
		}
		p.sending.Lock() // what a client sends to one address has an order
		m := f.cfg.Book.Sent(client, address, false, []*ledger.Client{to}, r.Float64() < f.cfg.IDs, time.Now())
		ok := p.write(c, appendMessage(nil, m, entity, entityID, string(pad)))
		if !ok {
			f.cfg.Book.Unsent(m)
		}
		p.sending.Unlock()
		if !ok {
			return
		}
		pause(ctx, floodPause)
	}
}

// named finds a client by the name of its party.
func (f *Fleet) named(name string) (self, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	i := slices.IndexFunc(f.present, func(s self) bool { return s.client.Name == name })
	if i < 0 {
		return self{}, false
	}
	return f.present[i], true
}

// sleep waits while the party does not read.
func (p *party) sleep(ctx context.Context) {
	p.mu.Lock()
	d := time.Until(p.asleep)
	p.mu.Unlock()
	if d > 0 {
		pause(ctx, d)
	}
}
