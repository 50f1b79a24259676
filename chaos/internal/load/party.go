package load

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/antano/antano/chaos/internal/ledger"
)

// whoamiEvery is how often a party asks who it is: so it learns of its process and,
// where datagram sources are forgotten, of its new id.
const whoamiEvery = 250 * time.Millisecond

// party is one client that sends and receives, and comes back when its connection ends.
type party struct {
	fleet   *Fleet
	service Service
	name    string
	group   int64
	random  *rand.Rand // of the sending goroutine
	pad     string

	sending sync.Mutex // held from the number of a message until it is written

	mu     sync.Mutex
	conn   *conn
	id     int64 // 0 until the server said it
	client *ledger.Client
	served string // its id and process, for people
	member bool
	joined chan struct{} // closed when it is a member for the first time
	asleep time.Time     // until when it does not read
}

func newParty(f *Fleet, s Service, n int) *party {
	return &party{
		fleet: f, service: s, name: fmt.Sprintf("%s-%d", s.Name, n), group: int64(n%f.cfg.Groups) + 1,
		random: rand.New(rand.NewPCG(f.cfg.Seed, uint64(n))), pad: strings.Repeat("x", f.cfg.Pad), joined: make(chan struct{}),
	}
}

func (p *party) awaitMember(ctx context.Context) error {
	select {
	case <-p.joined:
		return nil
	case <-time.After(dialTimeout):
		return fmt.Errorf("%s did not become a member of group room/%d within %s", p.name, p.group, dialTimeout)
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (p *party) isMember() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.member
}

// run connects again and again.
func (p *party) run(ctx context.Context) {
	for ctx.Err() == nil {
		c, err := dial(p.service, p.fleet.cfg.Dir)
		if err != nil {
			p.fleet.note(func(l *Losses) { l.Refused++ })
			p.fleet.unexpected(fmt.Sprintf("connect to %s: %v", p.service.Name, err))
			pause(ctx, 10*time.Millisecond)
			continue
		}
		p.mu.Lock()
		p.conn, p.id, p.client, p.member = c, 0, nil, false
		p.mu.Unlock()
		if ctx.Err() != nil { // Stop looked for the connection before it was there
			c.Close()
			return
		}
		p.ended(ctx, p.converse(ctx, c))
	}
}

// converse sends and receives until the connection ends, and says why it did.
func (p *party) converse(ctx context.Context, c *conn) error {
	ctx, cancel := context.WithCancel(ctx)
	var sender sync.WaitGroup
	sender.Go(func() { p.send(ctx, c) })
	err := p.receive(ctx, c)
	cancel()
	c.Close()
	sender.Wait()
	return err
}

// ended takes leave of the client whose connection is gone.
func (p *party) ended(ctx context.Context, why error) {
	p.mu.Lock()
	client := p.client
	p.client, p.id, p.member = nil, 0, false
	p.mu.Unlock()
	if ctx.Err() != nil {
		return
	}
	at := time.Now()
	if client != nil {
		p.fleet.depart(client)
	}
	excused := p.fleet.cfg.Book.Crashed(p.service.Name, at)
	if client != nil {
		excused = p.fleet.cfg.Book.Excuses(client, at)
	}
	p.fleet.note(func(l *Losses) {
		l.Broken++
		if !excused {
			l.Foreign++
		}
	})
	if !excused {
		p.fleet.unexpected(fmt.Sprintf("connection to %s: %v", p.service.Name, stripped(why)))
	}
}

// close ends the connection, for Stop.
func (p *party) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.conn != nil {
		p.conn.Close()
	}
}

// send writes messages at the rate of the fleet, and asks who it is.
func (p *party) send(ctx context.Context, c *conn) {
	every := time.NewTicker(time.Duration(float64(time.Second) / p.fleet.cfg.Rate))
	defer every.Stop()
	var asked time.Time
	for {
		if now := time.Now(); now.Sub(asked) >= whoamiEvery {
			asked = now
			if !p.write(c, []byte(`{"type":"whoami"}`)) {
				return
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-every.C:
		}
		p.mu.Lock()
		client := p.client
		p.mu.Unlock()
		if client != nil && p.fleet.sending.Load() && !p.sendOne(c, client) {
			return
		}
	}
}

// sendOne writes one message to somebody; false when the connection is gone.
func (p *party) sendOne(c *conn, client *ledger.Client) bool {
	f, r := p.fleet, p.random
	id := r.Float64() < f.cfg.IDs
	var m *ledger.Message
	entity, entityID := "client", int64(0)
	p.sending.Lock()
	defer p.sending.Unlock()
	switch pick := r.IntN(20); {
	case pick < 12:
		to, ok := f.anybody(r, client)
		if !ok {
			return true
		}
		entityID = to.id
		m = f.cfg.Book.Sent(client, "client/"+to.client.Name, false, []*ledger.Client{to.client}, id, time.Now())
	case pick < 16:
		entity, entityID = "room", int64(r.IntN(f.cfg.Groups))+1
		m = f.cfg.Book.Sent(client, fmt.Sprint("room/", entityID), true, f.membersOf(entityID), id, time.Now())
	default:
		entity, entityID = "service", f.handler
		m = f.cfg.Book.Sent(client, ledger.HandlerAddress(f.cfg.Handler.Name), false, []*ledger.Client{client}, id, time.Now())
	}
	ok := p.write(c, appendMessage(nil, m, entity, entityID, p.pad))
	if !ok {
		f.cfg.Book.Unsent(m)
	}
	return ok
}

// write sends one object; false when the connection is gone. A datagram that nobody
// was there for is counted and no end.
func (p *party) write(c *conn, object []byte) bool {
	err := c.send(object)
	if err == nil {
		return true
	}
	if !p.service.stream() && errors.Is(err, syscall.ECONNREFUSED) {
		p.fleet.note(func(l *Losses) { l.Refused++ })
		return c.send(object) == nil
	}
	return false
}

// receive takes what comes until the connection ends.
func (p *party) receive(ctx context.Context, c *conn) error {
	for {
		p.sleep(ctx)
		line, err := c.receive()
		if err != nil {
			if !p.service.stream() && errors.Is(err, syscall.ECONNREFUSED) {
				p.fleet.note(func(l *Losses) { l.Refused++ })
				continue
			}
			return err
		}
		o, err := parse(line)
		if err != nil {
			p.fleet.unexpected(fmt.Sprintf("%s got %v", p.service.Name, err))
			continue
		}
		p.take(c, &o)
	}
}

// stripped removes addresses, so that the same error reads the same.
func stripped(err error) error {
	for {
		inner := errors.Unwrap(err)
		if inner == nil {
			return err
		}
		err = inner
	}
}

func (p *party) take(c *conn, o *object) {
	p.mu.Lock()
	client := p.client
	p.mu.Unlock()
	book := p.fleet.cfg.Book
	switch o.Type {
	case "client":
		if !p.named(o) {
			p.write(c, fmt.Appendf(nil, `{"type":"join","entity":"room","entity_id":%d}`, p.group))
		}
	case "joined":
		p.isJoined()
	case "message":
		from, n, ok := o.origin()
		if !ok || client == nil {
			p.fleet.unexpected(fmt.Sprintf("%s got a message that nobody here sent", p.service.Name))
			return
		}
		book.Arrived(client, from, n)
	case "receipt", "error":
		from, n, ok := o.asked()
		if !ok || client == nil {
			p.fleet.unexpected(fmt.Sprintf("%s got %s %s without an id", p.service.Name, o.Type, o.Code))
			return
		}
		book.Answered(client, from, n, ledger.Answer{Code: o.Code, Delivered: o.Delivered, Failed: o.Failed}, time.Now())
	default:
		p.fleet.unexpected(fmt.Sprintf("%s got a %q", p.service.Name, o.Type))
	}
}

// named learns the client's id and process, and reports whether it is a member.
func (p *party) named(o *object) (member bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f := p.fleet
	if p.id == o.EntityID {
		f.cfg.Book.Moved(p.client, o.ProcessID)
		return p.member
	}
	if p.id != 0 {
		f.depart(p.client)
		f.note(func(l *Losses) { l.Renamed++ })
		f.unexpected(fmt.Sprintf("%s was %s, is %d of process %d at %s", p.name, p.served, o.EntityID, o.ProcessID, time.Now().UTC().Format("15:04:05.000")))
	}
	p.served = fmt.Sprintf("%d of process %d", o.EntityID, o.ProcessID)
	p.id, p.member = o.EntityID, false
	p.client = f.cfg.Book.Open(p.name, p.service.Name, o.ProcessID, p.service.stream())
	f.arrive(self{p.id, p.client})
	return false
}

func (p *party) isJoined() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.client == nil || p.member {
		return
	}
	p.member = true
	p.fleet.join(p.group, p.client)
	select {
	case <-p.joined:
	default:
		close(p.joined)
	}
}

// pause waits between two attempts.
func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}
