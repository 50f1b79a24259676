package main_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
	"syscall"
	"testing"
	"time"
)

// party is a client that sends numbered messages and keeps books: one answer for
// each, and what arrives from each sender in the order sent.
type party struct {
	t       *testing.T
	name    string
	conn    net.Conn
	id      int64
	mu      sync.Mutex
	answers map[int]int    // by message id
	codes   map[string]int // error answers by code
	last    map[string]int // last number seen, by sender and destination
	got     int            // answers so far
	changed chan struct{}  // one token when got grew
	fault   string         // the first broken promise
	ended   bool           // the connection is gone
}

// letter is the message value.
type letter struct {
	From int64  `json:"from"`
	To   string `json:"to"`
	N    int    `json:"n"`
}

func newParty(t *testing.T, network, address string) *party {
	t.Helper()
	c := dial(t, network, address)
	p := &party{t: t, name: network, conn: c.conn, answers: map[int]int{}, codes: map[string]int{}, last: map[string]int{},
		changed: make(chan struct{}, 1)}
	if _, err := fmt.Sscan(c.whoami(), &p.id); err != nil {
		t.Fatal(err)
	}
	c.ask(`{"type":"join","entity":"all","entity_id":1,"id":"j"}`).want(t, "type", "joined")
	if err := c.conn.SetReadDeadline(time.Time{}); err != nil {
		t.Fatal(err)
	}
	go p.read(c.r)
	return p
}

func (p *party) read(r *bufio.Reader) {
	buf := make([]byte, 1<<16)
	for {
		var line []byte
		var err error
		if p.name == "udp" {
			var n int
			n, err = p.conn.Read(buf)
			line = buf[:n]
		} else {
			line, err = r.ReadBytes('\n')
		}
		if err != nil {
			p.mu.Lock()
			p.ended = true
			p.mu.Unlock()
			return
		}
		p.take(line)
	}
}

func (p *party) take(line []byte) {
	var o struct {
		Type      string `json:"type"`
		ID        *int   `json:"id"`
		Code      string `json:"code"`
		Entity    string `json:"entity"`
		Message   letter `json:"message"`
		Delivered int    `json:"delivered"`
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := json.Unmarshal(line, &o); err != nil {
		p.broken("cannot read %q: %v", line, err)
		return
	}
	switch o.Type {
	case "receipt", "error":
		if o.ID == nil {
			p.broken("an answer without id: %s", line)
			return
		}
		p.answers[*o.ID]++
		if p.answers[*o.ID] > 1 {
			p.broken("message %d was answered twice: %s", *o.ID, line)
		}
		if o.Type == "error" {
			p.codes[o.Code]++
		}
		p.got++
		select {
		case p.changed <- struct{}{}:
		default:
		}
	case "message":
		lane := fmt.Sprint(o.Message.From, ">", o.Message.To)
		if n, seen := p.last[lane]; seen && o.Message.N <= n {
			p.broken("%s: number %d after %d", lane, o.Message.N, n)
		}
		p.last[lane] = o.Message.N
	default:
		p.broken("unexpected %s", line)
	}
}

// broken notes the first broken promise. p.mu is held.
func (p *party) broken(format string, args ...any) {
	if p.fault == "" {
		p.fault = fmt.Sprintf(format, args...)
	}
}

// send writes n messages to random destinations, at most window unanswered.
func (p *party) send(parties []*party, n, window int) {
	random := rand.New(rand.NewPCG(uint64(p.id), 1))
	for i := range n {
		to, entity, id := "all/1", "all", int64(1)
		if random.IntN(4) > 0 {
			id = parties[random.IntN(len(parties))].id
			to, entity = fmt.Sprint("client/", id), "client"
		}
		line := fmt.Sprintf(`{"entity":%q,"entity_id":%d,"id":%d,"message":{"from":%d,"to":%q,"n":%d}}`+"\n", entity, id, i, p.id, to, i)
		if _, err := p.conn.Write([]byte(line)); err != nil {
			return
		}
		p.wait(i+1-window, 10*time.Second)
	}
	p.wait(n, 10*time.Second)
}

// wait returns when that many answers came, the connection ended or time is up.
func (p *party) wait(answers int, limit time.Duration) {
	timer := time.NewTimer(limit)
	defer timer.Stop()
	for {
		p.mu.Lock()
		done := p.got >= answers || p.ended
		p.mu.Unlock()
		if done {
			return
		}
		select {
		case <-p.changed:
		case <-timer.C:
			return
		case <-time.After(100 * time.Millisecond): // ended, perhaps
		}
	}
}

// TestLedger has clients of all transports write to each other and to a group that
// all of them joined: every message with an id has exactly one answer and nothing
// arrives twice or out of order.
func TestLedger(t *testing.T) {
	t.Parallel()
	s := start(t, threeServices)
	parties := makeParties(t, s)
	const each = 400
	var wg sync.WaitGroup
	for _, p := range parties {
		wg.Go(func() { p.send(parties, each, 16) })
	}
	wg.Wait()
	for _, p := range parties {
		p.mu.Lock()
		if p.fault != "" {
			t.Errorf("%s client %d: %s", p.name, p.id, p.fault)
		}
		if len(p.answers) != each || len(p.codes) > 0 {
			t.Errorf("%s client %d has %d answers to %d messages, errors %v", p.name, p.id, len(p.answers), each, p.codes)
		}
		p.mu.Unlock()
	}
}

// TestLedgerUnderKills does the same while processes are killed: who keeps the
// connection has exactly one answer for each message, and in order.
func TestLedgerUnderKills(t *testing.T) {
	t.Parallel()
	s := start(t, threeServices+"restart: {delay: 1ms, max_delay: 1ms, limit: 0}\n")
	parties := makeParties(t, s)
	const each = 400
	stop := make(chan struct{})
	var killer, wg sync.WaitGroup
	killer.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			case <-time.After(150 * time.Millisecond):
			}
			p := s.service("tcp").Processes[i%2]
			if p.PID > 0 {
				_ = syscall.Kill(p.PID, syscall.SIGKILL)
			}
		}
	})
	for _, p := range parties {
		wg.Go(func() { p.send(parties, each, 4) })
	}
	wg.Wait()
	close(stop)
	killer.Wait()
	ended := 0
	for _, p := range parties {
		p.mu.Lock()
		if p.fault != "" {
			t.Errorf("%s client %d: %s", p.name, p.id, p.fault)
		}
		if p.ended {
			ended++
			if p.name != "tcp" {
				t.Errorf("%s client %d lost its connection", p.name, p.id)
			}
		} else if len(p.answers) != each {
			t.Errorf("%s client %d has %d answers to %d messages, errors %v", p.name, p.id, len(p.answers), each, p.codes)
		}
		p.mu.Unlock()
	}
	if ended == 0 {
		t.Error("no kill hit a client: the test showed nothing")
	}
}

func makeParties(t *testing.T, s *server) []*party {
	t.Helper()
	var parties []*party
	for range 4 {
		for _, network := range []string{"tcp", "unix", "udp"} {
			parties = append(parties, newParty(t, network, s.service(network).Address))
		}
	}
	return parties
}
