package hub

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/antano/antano/shared"
)

const joinRoom = `{"type":"join","entity":"room","entity_id":1}`

// ended reports whether the Writer was closed.
func (s *sink) ended() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closed
}

// A retired client leaves its groups at once, hears what it is owed, and ends with the
// last answer.
func TestRetire(t *testing.T) {
	handler := func(context.Context, *shared.Message) (any, error) {
		<-time.After(time.Second) // synctest
		return nil, nil
	}
	bubble(t, withHandler(handler), func(x *fixture) {
		datagrams := x.endpoint(EndpointConfig{Frame: line, Datagram: true})
		p, idle := x.connect(datagrams), x.connect(datagrams)
		p.send(joinRoom, fmt.Sprintf(toService, "1", `,"id":1`))
		synctest.Wait()
		p.take()
		idle.Retire(nil)
		if !idle.ended() || len(x.Rows()) != 1 {
			t.Error("a client that is owed nothing goes on")
		}
		p.Retire(errors.New("moved"))
		p.Retire(errors.New("again"))
		if groups := read(x.relay, &x.relay.groups); len(groups) != 2 || groups[1] != "-room/1" {
			t.Errorf("groups %v", groups)
		}
		if _, err := p.Take(1); codeOf(err) != shared.CodeShuttingDown {
			t.Errorf("take: %v", err)
		}
		p.send(`{"type":"ping"}`, `{"type":"join","entity":"room","entity_id":1,"id":2}`)
		synctest.Wait()
		if got := codes(p.take()); len(got) != 1 || got[0] != "shutting_down" {
			t.Errorf("after retire: %v", got)
		}
		if p.ended() {
			t.Fatal("ended before its answer")
		}
		time.Sleep(time.Second) // synctest
		p.expect(`{"type":"receipt","id":1,"delivered":1}`)
		if !p.ended() || len(x.Rows()) != 0 {
			t.Error("goes on after its last answer")
		}
	})
}

// A retired client that does not read ends after 5 s.
func TestRetireIsBounded(t *testing.T) {
	bubble(t, nil, func(x *fixture) {
		p := x.connect(x.json)
		p.change(func() { p.room = 0 })
		p.send(`{"type":"ping"}`)
		p.Retire(nil)
		time.Sleep(retireAfter - 2*tickEvery) // synctest
		if p.ended() {
			t.Error("ended early")
		}
		time.Sleep(4 * tickEvery)
		if !p.ended() {
			t.Error("goes on")
		}
	})
}

// unsent is a Writer that has something to lose.
type unsent struct {
	*sink
	bytes atomic.Int64
}

func (u *unsent) Unsent() int { return int(u.bytes.Load()) }

// A retired client is not closed while it has not got what was written.
func TestRetireWaitsForUnsent(t *testing.T) {
	bubble(t, nil, func(x *fixture) {
		u := &unsent{sink: &sink{room: -1, changed: make(chan struct{})}}
		c, err := x.json.Connect("test", u)
		if err != nil {
			t.Fatal(err)
		}
		u.bytes.Store(1)
		c.Retire(nil)
		time.Sleep(time.Second) // synctest
		if u.ended() {
			t.Error("closed with a byte to lose")
		}
		u.bytes.Store(0)
		time.Sleep(2 * tickEvery) // synctest
		if !u.ended() {
			t.Error("goes on")
		}
	})
}

// What the service itself has taken is waited for, and counted.
func TestTake(t *testing.T) {
	bubble(t, nil, func(x *fixture) {
		p := x.connect(x.json)
		time.Sleep(time.Second) // synctest
		done, err := p.Take(10)
		if err != nil || !p.Owed() {
			t.Fatalf("%v, owed %t", err, p.Owed())
		}
		if _, in, _, bytes, _ := x.page.Counts(); in != 1 || bytes != 10 || x.Rows()[0].MessagesIn != 1 {
			t.Errorf("%d messages, %d bytes, %+v", in, bytes, x.Rows()[0])
		}
		if p.LastReceived() != time.Now().UnixNano() {
			t.Error("LastReceived stands still")
		}
		p.Retire(nil)
		late := make(chan error, 1)
		go func() { _, err := p.Take(1); late <- err }()
		synctest.Wait()
		if err := p.Send([]byte("answer")); err != nil || p.ended() {
			t.Errorf("%v, closed %t", err, p.ended())
		}
		done()
		done()
		p.expect("answer")
		if !p.ended() || p.Owed() {
			t.Errorf("closed %t, owed %t", p.ended(), p.Owed())
		}
		if err := <-late; err != ErrClosed {
			t.Errorf("taken late: %v", err)
		}
		if _, err := p.Take(1); err != ErrClosed {
			t.Errorf("closed: %v", err)
		}
	})
}

// While one client holds up the drain the others are not kept: an idle one ends at once,
// one that sends on is not read any more and ends with its last answer.
func TestDrainKeepsNobodyElse(t *testing.T) {
	bubble(t, nil, func(x *fixture) {
		slow, idle, busy := x.connect(x.json), x.connect(x.json), x.connect(x.json)
		slow.change(func() { slow.room = 0 })
		slow.send(`{"type":"ping"}`)
		done, err := busy.Take(1)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		unfinished := make(chan int, 1)
		go func() { unfinished <- x.Drain(ctx) }()
		synctest.Wait()
		if !idle.ended() || slow.ended() || busy.ended() {
			t.Fatalf("closed: idle %t, slow %t, busy %t", idle.ended(), slow.ended(), busy.ended())
		}
		late := make(chan error, 1)
		go func() { late <- busy.Receive([]byte(`{"type":"ping","id":1}`)) }()
		synctest.Wait()
		if len(late) != 0 || busy.ended() {
			t.Fatal("busy was not held")
		}
		done()
		if err := <-late; err != ErrClosed || !busy.ended() || len(busy.take()) != 0 {
			t.Errorf("busy: %v, closed %t", err, busy.ended())
		}
		slow.open()
		if n := <-unfinished; n != 0 {
			t.Errorf("%d are unfinished", n)
		}
		slow.expect(`{"type":"pong"}`)
	})
}

// A limit of the queue below the size of a message takes one message at a time.
func TestQueueBelowOneMessage(t *testing.T) {
	for _, limit := range []int{1, 100} {
		bubble(t, func(cfg *Config) { cfg.Params.Limits.ClientQueueBytes = limit }, func(x *fixture) {
			p, q := x.connect(x.json), x.connect(x.json)
			p.send(joinRoom, `{"type":"ping"}`, `{"type":"ping"}`)
			q.send(toPeer(p, "direct", "1"), `{"entity":"room","entity_id":1,"message":"group","id":2}`)
			synctest.Wait()
			if got := values(p.take()); len(got) != 2 {
				t.Errorf("limit %d: got %v", limit, got)
			}
			q.expect(`{"type":"receipt","id":1,"delivered":1}`, `{"type":"receipt","id":2,"delivered":1}`)
			p.change(func() { p.room = 0 })
			q.send(toPeer(p, "first", ""), toPeer(p, "waits", ""))
			q.send(`{"entity":"room","entity_id":1,"message":"group","id":3}`)
			time.Sleep(2 * time.Second) // synctest: push_back is over
			if got := codes(q.take()); len(got) != 1 || got[0] != "overloaded" {
				t.Errorf("limit %d: the copy for a full queue: %v", limit, got)
			}
			p.open()
			synctest.Wait()
			if got := values(p.take()); len(got) != 1 || got[0] != "first" {
				t.Errorf("limit %d: got %v", limit, got)
			}
		})
	}
}
