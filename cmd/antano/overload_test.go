package main_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

const crowded = `
active_service:
  - {id: 1, service_type: udp, name: udp, host: 127.0.0.1, port: 0, processes: 2, LIMITS}
  - {id: 2, service_type: tcp, name: tcp, host: 127.0.0.1, port: 0, processes: 2, LIMITS}
  - {id: 3, service_type: unix, name: unix, socket_type: stream, endpoint: RUNTIME/u.sock, processes: 2, LIMITS}
`

const crowdedLimits = "limits: {client_queue_bytes: 65536, max_message_bytes: 65536, process_queue_bytes: 8388608}"

const (
	// bystanding is how long the latency of others is measured, without and with.
	bystanding = 700 * time.Millisecond
	// heldBack is less than whoever waits for push_back waits, more than a busy machine
	// takes.
	heldBack = 400 * time.Millisecond
	// A process may hold its queue, and as much again in the manager, beside what Go
	// keeps of memory that it has freed.
	mayGrow = 3*8<<20 + 24<<20
)

// TestOverload has one party at a time ask for more than it can have: everybody else
// keeps the latency, memory stays within bounds, and every id has one answer.
func TestOverload(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		do   func(o *overload)
	}{
		{"a client that never reads", neverReads},
		{"a stopped process", stoppedProcess},
		{"a group with a dead-slow member", slowMember},
		{"a sender ten times faster than its receiver", fastSender},
		{"many datagram senders", manyDatagrams},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := &overload{t: t, s: start(t, strings.ReplaceAll(crowded, "LIMITS", crowdedLimits))}
			o.pair()
			without, before := o.latency(), o.memory()
			ctx, stop := context.WithCancel(t.Context())
			defer stop()
			o.ctx = ctx
			c.do(o)
			with := o.latency()
			stop()
			o.running.Wait()
			for _, a := range o.askers {
				a.settled()
			}
			t.Logf("median of others: %s without, %s with; %d sent, %d answered with errors", without, with, o.sent(), o.refused())
			if with > 10*without+heldBack {
				t.Errorf("others waited %s (median), %s before", with, without)
			}
			if raceFlags != nil {
				return // the race detector's memory is not bounded
			}
			for pid, rss := range o.memory() {
				if grown := rss - before[pid]; before[pid] > 0 && grown > mayGrow {
					t.Errorf("process %d has grown by %d MiB", pid, grown>>20)
				}
			}
		})
	}
}

// overload is one such party on a server of its own, and a pair that is not concerned.
type overload struct {
	t        *testing.T
	s        *server
	ctx      context.Context // ends the party
	running  sync.WaitGroup
	askers   []*asker
	from, to *client
	id       string
}

func (o *overload) dial(name string) *client { return dial(o.t, name, o.s.service(name).Address) }

// pair connects two clients to processes whose number is odd.
func (o *overload) pair() {
	o.from, o.to = o.at("tcp", 1), o.at("unix", 1)
	o.id = o.to.whoami()
}

// at connects to a process of a service, the one with an odd or an even id.
func (o *overload) at(name string, odd int64) *client {
	for range 100 {
		c := o.dial(name)
		n, err := strconv.ParseInt(fmt.Sprint(c.ask(`{"type":"whoami"}`)["process_id"]), 10, 64)
		if err == nil && n%2 == odd {
			return c
		}
		defer c.conn.Close() // not before: with it there, the next one is a sibling's
	}
	o.t.Fatalf("no process of %s takes the connection", name)
	return nil
}

// latency is the median of messages from one to the other of the pair.
func (o *overload) latency() time.Duration {
	o.t.Helper()
	var all []time.Duration
	for end := time.Now().Add(bystanding); time.Now().Before(end); {
		began := time.Now()
		o.from.send(fmt.Sprintf(`{"entity":"client","entity_id":%s,"message":%d,"id":%d}`, o.id, len(all), len(all)))
		o.to.receive().want(o.t, "message", fmt.Sprint(len(all)))
		o.from.receive().want(o.t, "type", "receipt", "id", fmt.Sprint(len(all)), "delivered", "1")
		all = append(all, time.Since(began))
	}
	slices.Sort(all)
	return all[len(all)/2]
}

// memory is the resident set of the manager and all processes.
func (o *overload) memory() map[int]int64 {
	rss := map[int]int64{o.s.cmd.Process.Pid: 0}
	for _, svc := range o.s.status().Services {
		for _, p := range svc.Processes {
			rss[p.PID] = 0
		}
	}
	for pid := range rss {
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
		if err != nil {
			continue
		}
		if pages, err := strconv.ParseInt(strings.Fields(string(b))[1], 10, 64); err == nil {
			rss[pid] = pages * int64(os.Getpagesize())
		}
	}
	return rss
}

// atEnd does something when the party is over, so that what waits is answered at once.
func (o *overload) atEnd(do func()) {
	o.running.Go(func() {
		<-o.ctx.Done()
		do()
	})
}

func (o *overload) sent() (n int) {
	for _, a := range o.askers {
		n += a.n
	}
	return n
}

func (o *overload) refused() (n int) {
	for _, a := range o.askers {
		for _, k := range a.codes {
			n += k
		}
	}
	return n
}

// asker sends messages with ids and keeps their answers.
type asker struct {
	t       *testing.T
	c       *client
	n       int // sent
	mu      sync.Mutex
	answers map[string]int
	codes   map[string]int
	failed  int // copies that receipts report
}

// ask has c send to an address as fast as it is let, until the context ends.
func (o *overload) ask(c *client, entity, id string, size int) *asker {
	a := &asker{t: o.t, c: c, answers: map[string]int{}, codes: map[string]int{}}
	o.askers = append(o.askers, a)
	go a.read()
	text := strings.Repeat("x", size)
	o.running.Go(func() {
		for o.ctx.Err() == nil {
			if _, err := fmt.Fprintf(c.conn, `{"entity":%q,"entity_id":%s,"message":%q,"id":"%d"}`+"\n", entity, id, text, a.n); err != nil {
				o.t.Errorf("write: %v", err)
				return
			}
			a.n++
		}
	})
	return a
}

func (a *asker) read() {
	for {
		line, err := a.c.r.ReadBytes('\n')
		if err != nil {
			return
		}
		if bytes.Contains(line, []byte(`"type":"message"`)) {
			continue
		}
		o := decode(a.t, line)
		a.mu.Lock()
		a.answers[fmt.Sprint(o["id"])]++
		if o["type"] == "error" {
			a.codes[fmt.Sprint(o["code"])]++
		}
		if failed, ok := o["failed"].(map[string]any); ok && len(failed) > 0 {
			a.failed++
		}
		a.mu.Unlock()
	}
}

// settled waits until every message has an answer, and fails if one has two.
func (a *asker) settled() {
	a.t.Helper()
	eventually(a.t, "every message is answered", func() bool {
		a.mu.Lock()
		defer a.mu.Unlock()
		return len(a.answers) >= a.n
	})
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.answers) != a.n {
		a.t.Errorf("%d answers to %d messages", len(a.answers), a.n)
	}
	for id, n := range a.answers {
		if n != 1 {
			a.t.Errorf("message %s has %d answers", id, n)
		}
	}
}

// neverReads writes to a client that does not read.
func neverReads(o *overload) {
	deaf := o.at("tcp", 0)
	o.atEnd(func() { deaf.conn.Close() })
	a := o.ask(o.at("unix", 0), "client", deaf.whoami(), 50_000)
	eventually(o.t, "the sender is told", func() bool {
		a.mu.Lock()
		defer a.mu.Unlock()
		return a.codes["overloaded"] > 0
	})
}

// stoppedProcess writes to a client of a process that stands still.
func stoppedProcess(o *overload) {
	gone := o.at("tcp", 0)
	id := gone.whoami()
	n, process := 0, fmt.Sprint(gone.ask(`{"type":"whoami"}`)["process_id"])
	for _, p := range o.s.service("tcp").Processes {
		if fmt.Sprint(p.ProcessID) == process {
			freeze(o.t, p.PID)
			n++
			o.atEnd(func() { _ = syscall.Kill(p.PID, syscall.SIGCONT) })
		}
	}
	if n != 1 {
		o.t.Fatalf("process %s is there %d times", process, n)
	}
	o.ask(o.at("unix", 0), "client", id, 50_000)
}

// slowMember writes to a group of which one member reads next to nothing.
func slowMember(o *overload) {
	for i := range 6 {
		c := o.at([]string{"tcp", "unix"}[i%2], 0)
		c.ask(`{"type":"join","entity":"room","entity_id":1,"id":1}`).want(o.t, "type", "joined")
		if i == 0 {
			o.atEnd(func() { c.conn.Close() })
			continue
		}
		go func() {
			for {
				if _, err := c.r.ReadSlice('\n'); err != nil {
					return
				}
			}
		}()
	}
	a := o.ask(o.at("unix", 0), "room", "1", 5000)
	eventually(o.t, "the sender is told of the copy that failed", func() bool {
		a.mu.Lock()
		defer a.mu.Unlock()
		return a.failed > 0
	})
	o.t.Cleanup(func() {
		if len(a.codes) > 0 {
			o.t.Errorf("messages that some members got are answered with %v", a.codes)
		}
	})
}

// fastSender has a receiver read a tenth of what its sender could write.
func fastSender(o *overload) {
	slow := o.at("tcp", 0)
	id := slow.whoami()
	o.running.Go(func() {
		for o.ctx.Err() == nil {
			if _, err := slow.r.ReadSlice('\n'); err != nil {
				return
			}
			pause()
		}
		go func() { // what is left, so that everything gets an answer
			for {
				if _, err := slow.r.ReadSlice('\n'); err != nil {
					return
				}
			}
		}()
	})
	o.ask(o.at("unix", 0), "client", id, 10_000)
}

// manyDatagrams has datagram sources write to one client, which gets each message or
// has it counted as dropped.
func manyDatagrams(o *overload) {
	const sources, each = 20, 200
	to := o.at("tcp", 0)
	id := to.whoami()
	before := o.drops()
	text := strings.Repeat("x", 2000)
	for range sources {
		c := o.dial("udp")
		o.running.Go(func() {
			for range each {
				if _, err := fmt.Fprintf(c.conn, `{"entity":"client","entity_id":%s,"message":%q}`, id, text); err != nil {
					o.t.Errorf("write: %v", err)
				}
			}
		})
	}
	o.t.Cleanup(func() {
		got, done := 0, make(chan struct{})
		var mu sync.Mutex
		go func() {
			defer close(done)
			for {
				if _, err := to.r.ReadSlice('\n'); err != nil {
					return
				}
				mu.Lock()
				got++
				mu.Unlock()
			}
		}()
		eventually(o.t, "all datagrams have arrived or are counted", func() bool {
			mu.Lock()
			defer mu.Unlock()
			return uint64(got)+o.drops()-before >= sources*each
		})
		to.conn.Close()
		<-done
		if n := uint64(got) + o.drops() - before; n != sources*each {
			o.t.Errorf("%d of %d datagrams arrived or are counted", n, sources*each)
		}
	})
}

// drops sums what the server counts as dropped.
func (o *overload) drops() (n uint64) {
	for _, svc := range o.s.status().Services {
		for _, p := range svc.Processes {
			for _, k := range p.Drops {
				n += k
			}
		}
	}
	return n
}
