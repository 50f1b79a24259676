package load

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"
)

// Span is a time that somebody waited.
type Span struct{ From, Until time.Time }

// Length is how long it was.
func (s Span) Length() time.Duration { return s.Until.Sub(s.From) }

// pinger is two clients of services that no fault hits. One writes to the other, which
// is a closed loop: the next message goes when the last has arrived.
type pinger struct {
	fleet    *Fleet
	from, to Service

	mu      sync.Mutex
	waits   []Span // long ones
	current time.Time
	rounds  []time.Duration
}

const (
	pingEvery  = 2 * time.Millisecond
	pingAgain  = time.Second // a message that nobody says anything of is sent again
	longWait   = 10 * time.Millisecond
	pingRounds = 1 << 20
)

// run measures until ctx ends, with other connections when these end.
func (p *pinger) run(ctx context.Context) {
	for ctx.Err() == nil {
		if err := p.pair(ctx); err != nil && ctx.Err() == nil {
			p.fleet.note(func(l *Losses) { l.Broken++; l.Foreign++ })
			p.fleet.unexpected(fmt.Sprintf("the undisturbed clients of %s and %s: %v", p.from.Name, p.to.Name, stripped(err)))
			pause(ctx, pingEvery)
		}
	}
}

func (p *pinger) pair(ctx context.Context) error {
	from, err := dial(p.from, p.fleet.cfg.Dir)
	if err != nil {
		return err
	}
	defer from.Close()
	to, err := dial(p.to, p.fleet.cfg.Dir)
	if err != nil {
		return err
	}
	defer to.Close()
	stop := context.AfterFunc(ctx, func() { from.Close(); to.Close() })
	defer stop()
	id, err := whoami(to)
	if err != nil {
		return err
	}
	arrived, refused := make(chan string, 16), make(chan string, 16)
	var readers sync.WaitGroup
	defer readers.Wait()
	defer from.Close()
	defer to.Close()
	readers.Go(func() { // the receipts
		for {
			line, err := from.receive()
			if err != nil {
				return
			}
			if o, err := parse(line); err == nil && o.Type == "error" {
				select {
				case refused <- string(o.ID):
				default:
				}
			}
		}
	})
	readers.Go(func() {
		defer close(arrived)
		for {
			line, err := to.receive()
			if err != nil {
				return
			}
			if o, err := parse(line); err == nil && len(o.Message) == 1 {
				select {
				case arrived <- string(o.Message[0]):
				default:
				}
			}
		}
	})
	for n := 0; ctx.Err() == nil; n++ {
		if err := p.round(ctx, from, id, n, arrived, refused); err != nil {
			return err
		}
		pause(ctx, pingEvery)
	}
	return nil
}

func whoami(c *conn) (int64, error) {
	if err := c.send([]byte(`{"type":"whoami"}`)); err != nil {
		return 0, err
	}
	line, err := c.receive()
	if err != nil {
		return 0, err
	}
	o, err := parse(line)
	return o.EntityID, err
}

// round sends message n until one like it arrives, again when it is said to be lost.
func (p *pinger) round(ctx context.Context, from *conn, id int64, n int, arrived, refused <-chan string) error {
	began := time.Now()
	p.begin(began)
	text := fmt.Sprint(n)
	for {
		if err := from.send(fmt.Appendf(nil, `{"entity":"client","entity_id":%d,"message":[%s],"id":%s}`, id, text, text)); err != nil {
			return err
		}
		again := time.NewTimer(pingAgain)
	waiting:
		for {
			select {
			case <-ctx.Done():
				again.Stop()
				return nil
			case <-again.C:
				break waiting
			case which := <-refused:
				if which == text {
					again.Stop()
					pause(ctx, pingEvery)
					break waiting
				}
			case got, ok := <-arrived:
				if !ok {
					again.Stop()
					return fmt.Errorf("the connection ended")
				}
				if got == text {
					again.Stop()
					p.end(Span{began, time.Now()})
					return nil
				}
			}
		}
	}
}

func (p *pinger) begin(at time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.current = at
}

func (p *pinger) end(s Span) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.current = time.Time{}
	if len(p.rounds) < pingRounds {
		p.rounds = append(p.rounds, s.Length())
	}
	if s.Length() >= longWait {
		p.waits = append(p.waits, s)
	}
}

// Waits returns the long waits of undisturbed clients so far, one that is not over
// included.
func (f *Fleet) Waits() (waits []Span) {
	for _, p := range f.pingers {
		p.mu.Lock()
		waits = append(waits, p.waits...)
		if now := time.Now(); !p.current.IsZero() && now.Sub(p.current) >= longWait {
			waits = append(waits, Span{p.current, now})
		}
		p.mu.Unlock()
	}
	return waits
}

// Median is that of the times of all undisturbed clients.
func (f *Fleet) Median() time.Duration {
	var all []time.Duration
	for _, p := range f.pingers {
		p.mu.Lock()
		all = append(all, p.rounds...)
		p.mu.Unlock()
	}
	if len(all) == 0 {
		return 0
	}
	slices.Sort(all)
	return all[len(all)/2]
}
