package hub

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/antano/antano/plugin/internal/transfer"
	"github.com/antano/antano/shared"
	"github.com/antano/antano/shared/wire"
)

// replace moves everything from p to a new generation.
func (w *world) replace(p *process, generation uint32) *process {
	w.t.Helper()
	id := uint16(p.Identity().ProcessID)
	next := w.start(id, generation)
	if err := w.manager.Replace(w.context(), id); err != nil {
		w.t.Fatal(err)
	}
	return next
}

// A client keeps its id, its groups, what waits to be written, what it has sent and
// what it is owed.
func TestMove(t *testing.T) {
	w := newWorld(t, nil)
	a, other := w.start(1, 1), w.start(2, 1)
	c, d := a.connect(), other.connect()
	c.say(`{"type":"join","entity":"room","entity_id":1,"id":"j"}`)
	c.until(t, 1)
	c.change(func() { c.room = 10 }) // of the first message, no more
	for i := range 3 {
		d.say(`{"entity":"client","entity_id":%d,"message":"waiting %d","id":%d}`, uint64(c.id), i, i)
	}
	<-c.news
	b := w.replace(a, 2)
	d.say(`{"entity":"client","entity_id":%d,"message":"after","id":3}`, uint64(c.id))
	d.say(`{"entity":"room","entity_id":1,"message":"to all","id":4}`)
	c.say(`{"type":"whoami","id":"w"}`)
	c.open()
	var got []string
	for _, m := range c.until(t, 6) {
		for _, key := range []string{"waiting 0", "waiting 1", "waiting 2", "after", "to all", `"id":"w"`} {
			if strings.Contains(m, key) && json.Valid([]byte(m)) {
				got = append(got, key)
			}
		}
	}
	if all := strings.Join(got[:3], ","); all != "waiting 0,waiting 1,waiting 2" || len(got) != 6 {
		t.Errorf("client got %q", got)
	}
	for _, m := range d.until(t, 5) {
		if !strings.Contains(m, `"delivered":1`) {
			t.Errorf("sender got %s", m)
		}
	}
	a.finish()
	if rows := b.Rows(); len(rows) != 1 || rows[0].ID != c.id || rows[0].MessagesIn != 2 || rows[0].Groups != 1 {
		t.Errorf("rows %+v", rows)
	}
	if n, _, _, _, _ := a.page.Counts(); n != 0 {
		t.Errorf("%d clients are counted in the old process", n)
	}
}

// Messages of all kinds go on over one replacement after another: everything arrives
// once and in order, and every id gets one answer.
func TestMoveUnderLoad(t *testing.T) {
	const clients, messages, burst = 12, 240, 24
	handled := newJournal()
	w := newWorld(t, func(cfg *Config) {
		cfg.Handler = func(_ context.Context, m *shared.Message) (any, error) {
			handled.add(m.From.String(), string(m.Value))
			return nil, nil
		}
	})
	p, other := w.start(1, 1), w.start(2, 1)
	var all []*conn
	for i := range clients {
		from := p
		if i%2 == 1 {
			from = other
		}
		c := from.connect()
		c.say(`{"type":"join","entity":"room","entity_id":1,"id":"join"}`)
		c.until(t, 1)
		all = append(all, c)
	}
	ledgers := make([]*ledger, clients)
	for i := range all {
		ledgers[i] = newLedger()
	}
	answered := func(n int) {
		for i, c := range all {
			for ledgers[i].answers < n {
				for _, m := range c.until(t, 1) {
					ledgers[i].enter(t, m)
				}
			}
		}
	}
	var done sync.WaitGroup
	generation := uint32(1)
	for n := range messages {
		for i, c := range all {
			switch n % 4 {
			case 0, 1:
				c.say(`{"entity":"client","entity_id":%d,"message":{"by":%d,"n":%d,"pad":%q},"id":%d}`, uint64(all[(i+n)%clients].id), i, n, strings.Repeat("x", n), n)
			case 2:
				c.say(`{"entity":"room","entity_id":1,"message":{"by":%d,"n":%d},"id":%d}`, i, n, n)
			default:
				c.say(`{"entity":"service","entity_id":%d,"message":{"by":%d,"n":%d},"id":%d}`, serviceID, i, n, n)
			}
		}
		if n%burst < burst-1 {
			continue
		}
		if n%(2*burst) == 2*burst-1 {
			generation++
			old := p
			p = w.replace(p, generation)
			done.Go(func() {
				old.finish()
				old.stop()
			})
		}
		answered(n - burst/2) // the rest is under way, but no message for as long as it may
	}
	answered(messages)
	done.Wait()
	for i, l := range ledgers {
		for _, m := range all[i].take() {
			l.enter(t, m)
		}
		for n := range messages {
			if l.byID[n] != 1 {
				t.Errorf("client %d: message %d got %d answers", i, n, l.byID[n])
			}
		}
		for key, codes := range l.failed {
			t.Errorf("client %d: %d messages were %s", i, codes, key)
		}
	}
	direct, room := 0, 0
	for _, l := range ledgers {
		direct += l.direct
		room += l.room
	}
	if want := clients * messages / 2; direct != want {
		t.Errorf("%d direct messages arrived, %d were sent", direct, want)
	}
	if want := clients * clients * messages / 4; room != want {
		t.Errorf("%d copies of group messages arrived, want %d", room, want)
	}
	handled.check(t, clients*messages/4)
}

// ledger is what one client got.
type ledger struct {
	answers, direct, room int
	byID                  map[int]int
	failed                map[string]int
	last                  map[string]int
}

func newLedger() *ledger {
	return &ledger{byID: map[int]int{}, failed: map[string]int{}, last: map[string]int{}}
}

func (l *ledger) enter(t *testing.T, line string) {
	t.Helper()
	var m struct {
		Type, Entity, Code string
		ID                 *int
		Failed             map[string]int
		Message            struct{ By, N int }
	}
	if err := json.Unmarshal([]byte(line), &m); err != nil {
		t.Fatalf("client got %q: %v", line, err)
	}
	if m.Type != "message" {
		l.answers++
		l.byID[*m.ID]++
		if m.Type != "receipt" {
			l.failed[m.Code]++
		}
		for code, n := range m.Failed {
			l.failed[code] += n
		}
		return
	}
	key := fmt.Sprint(m.Entity, m.Message.By)
	if before, ok := l.last[key]; ok && before >= m.Message.N {
		t.Errorf("%s: number %d came after %d", key, m.Message.N, before)
	}
	l.last[key] = m.Message.N
	if m.Entity == "room" {
		l.room++
	} else {
		l.direct++
	}
}

// journal is what handlers were called with, by sender.
type journal struct {
	mu   sync.Mutex
	last map[string]int
	n    int
	bad  []string
}

func newJournal() *journal { return &journal{last: map[string]int{}} }

func (j *journal) add(from, value string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	var v struct{ N int }
	if err := json.Unmarshal([]byte(value), &v); err != nil {
		j.bad = append(j.bad, err.Error())
	}
	if before, ok := j.last[from]; ok && before >= v.N {
		j.bad = append(j.bad, fmt.Sprintf("%s: call %d came after %d", from, v.N, before))
	}
	j.last[from] = v.N
	j.n++
}

func (j *journal) check(t *testing.T, want int) {
	t.Helper()
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.n != want {
		t.Errorf("the handler was called %d times, want %d", j.n, want)
	}
	for _, text := range j.bad {
		t.Error(text)
	}
}

// When the new process cannot take a client, the old one serves on as if nothing had
// been.
func TestMoveAborted(t *testing.T) {
	w := newWorld(t, nil)
	a, other := w.start(1, 1), w.start(2, 1)
	c, d := a.connect(), other.connect()
	c.say(`{"type":"join","entity":"room","entity_id":1,"id":"j"}`)
	c.until(t, 1)
	b := w.start(1, 2)
	b.transport.fail = errors.New("no room")
	if err := w.manager.Replace(w.context(), 1); err == nil {
		t.Fatal("the move was cut")
	}
	for i := range 20 {
		d.say(`{"entity":"room","entity_id":1,"message":%d,"id":%d}`, i, i)
		c.say(`{"entity":"client","entity_id":%d,"message":%d,"id":%d}`, uint64(d.id), i, i)
	}
	c.until(t, 40)
	d.until(t, 40)
	if n := len(b.Rows()); n != 0 {
		t.Errorf("the new process has %d clients", n)
	}
	a.connect().say(`{"type":"ping"}`)
	b.stop()
	b = w.replace(a, 3)
	d.say(`{"entity":"room","entity_id":1,"message":"again","id":21}`)
	c.until(t, 1)
	if n := len(b.Rows()); n != 2 {
		t.Errorf("the third process has %d clients", n)
	}
	a.finish()
}

// When the old process dies after the cut, its successor keeps the clients whose rest
// has come and ends the others; here all have come.
func TestMoveThenCrash(t *testing.T) {
	w := newWorld(t, nil)
	a := w.start(1, 1)
	c := a.connect()
	b := w.replace(a, 2)
	c.say(`{"type":"ping","id":1}`)
	c.until(t, 1)
	a.stop()
	c.say(`{"type":"ping","id":2}`)
	c.until(t, 1)
	if n := len(b.Rows()); n != 1 {
		t.Errorf("%d clients", n)
	}
}

// When the new process dies after the cut, what it had in hand is reported.
func TestMoveIntoCrash(t *testing.T) {
	w := newWorld(t, nil)
	a, other := w.start(1, 1), w.start(2, 1)
	c, d := a.connect(), other.connect()
	c.change(func() { c.room = 0 })
	d.say(`{"entity":"client","entity_id":%d,"message":"x","id":1}`, uint64(c.id))
	d.say(`{"entity":"client","entity_id":%d,"message":"y"}`, uint64(c.id))
	d.say(`{"type":"ping","id":"p"}`)
	d.until(t, 1)
	pollQueued(t, a, c.id, 2)
	b := w.replace(a, 2)
	b.stop()
	if got := d.until(t, 1); !strings.Contains(got[0], "process_lost") && !strings.Contains(got[0], "no_such_entity") {
		t.Errorf("sender got %q", got)
	}
	a.finish()
}

// pollQueued waits until n messages wait for a client.
func pollQueued(t *testing.T, p *process, id shared.ClientID, n int) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		c := p.client(id)
		c.mu.Lock()
		have := c.out.len()
		c.mu.Unlock()
		if have == n {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d messages wait, want %d", have, n)
		}
	}
}

// Two siblings: one takes the other's clients and runs on with both.
func TestMerge(t *testing.T) {
	w := newWorld(t, nil)
	a, b := w.start(1, 1), w.start(2, 1)
	c, d := a.connect(), b.connect()
	for _, x := range []*conn{c, d} {
		x.say(`{"type":"join","entity":"room","entity_id":1,"id":"j"}`)
		x.until(t, 1)
	}
	if err := w.manager.Merge(w.context(), 1, 2); err != nil {
		t.Fatal(err)
	}
	a.finish()
	a.stop()
	c.say(`{"entity":"client","entity_id":%d,"message":1,"id":1}`, uint64(d.id))
	d.say(`{"entity":"client","entity_id":%d,"message":2,"id":2}`, uint64(c.id))
	d.say(`{"entity":"room","entity_id":1,"message":3,"id":3}`)
	c.until(t, 3)
	d.until(t, 4)
	if n := len(b.Rows()); n != 2 {
		t.Errorf("%d clients", n)
	}
}

// backs counts the moves that it was told to undo.
type backs struct {
	Transport
	n int
}

func (b *backs) MoveBack() { b.n++ }

// A move that ends before the transport has stopped anything must not have it undo the
// one before, whose clients are another process's.
func TestMoveBackFollowsMoveOutAlone(t *testing.T) {
	var b backs
	bubble(t, func(cfg *Config) { cfg.Transport = &b }, func(x *fixture) {
		m := newOutgoing(x.Hub, wire.MoveOut{Scope: wire.ScopeSlots, Slots: 1})
		m.conn = new(transfer.Conn)
		if m.back(); b.n != 0 {
			t.Error("undone")
		}
		m.stopped = true
		if m.back(); b.n != 1 {
			t.Error("not undone")
		}
		m.cancel()
	})
}
