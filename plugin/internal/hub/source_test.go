package hub

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/antano/antano/shared"
	"github.com/antano/antano/shared/wire"
)

const away = 1<<45*serverID + 9<<32 + 1 // a client of process 9

func toAway(i int) string {
	return fmt.Sprintf(`{"entity":"client","entity_id":%d,"message":"%03d%s","id":%d}`, away, i, strings.Repeat("x", 300), i)
}

func window(cfg *Config) { cfg.Window = 1000 }

func held(r *fakeRelay) { r.hold, r.credit = true, false }

// A stream waits for credit and goes on in order; after push_back the message is
// dropped, and those behind it at once until credit comes.
func TestLaneWindow(t *testing.T) {
	bubble(t, window, func(x *fixture) {
		x.relay.set(held)
		p := x.connect(x.json)
		done := make(chan struct{})
		go func() {
			defer close(done)
			for i := range 6 {
				p.send(toAway(i))
			}
		}()
		synctest.Wait()
		if n := len(read(x.relay, &x.relay.messages)); n != 2 {
			t.Fatalf("%d messages were sent into a window for 2", n)
		}
		lane := wire.Lane{Kind: wire.KindClient, ID: 9}
		size := read(x.relay, &x.relay.messages)[0].FrameSize()
		x.relay.do(func() { x.OnCredit(wire.Credit{Lane: lane, Bytes: uint32(size)}) })
		synctest.Wait()
		if n := len(read(x.relay, &x.relay.messages)); n != 3 {
			t.Fatalf("%d messages after credit for one", n)
		}
		start := time.Now()
		<-done // 3 waits, 4 and 5 do not
		if waited := time.Since(start); waited != time.Second {
			t.Errorf("waited %v, want push_back once", waited)
		}
		synctest.Wait()
		if got := codes(p.take()); !slices.Equal(got, []string{"overloaded", "overloaded", "overloaded"}) {
			t.Errorf("answers %q", got)
		}
		x.relay.do(func() { x.OnCredit(wire.Credit{Lane: lane, Bytes: uint32(3 * size)}) })
		synctest.Wait()
		p.send(toAway(6))
		synctest.Wait()
		if n := len(read(x.relay, &x.relay.messages)); n != 4 {
			t.Errorf("%d messages after the window is open again", n)
		}
		if n := len(x.lanes.m); n != 1 {
			t.Errorf("%d lanes are remembered", n)
		}
	})
}

// A datagram source does not wait, and a lane in use does not hold back another one.
func TestLaneDatagram(t *testing.T) {
	bubble(t, window, func(x *fixture) {
		x.relay.set(held)
		p := x.connect(x.endpoint(EndpointConfig{Datagram: true}))
		start := time.Now()
		for i := range 5 {
			p.send(toAway(i))
		}
		p.send(`{"entity":"service","entity_id":8,"message":1,"id":1}`, `{"entity":"room","entity_id":8,"message":1,"id":1}`)
		if time.Since(start) != 0 {
			t.Error("a datagram source waited")
		}
		synctest.Wait()
		if got := codes(p.take()); !slices.Equal(got, []string{"overloaded", "overloaded", "overloaded"}) {
			t.Errorf("answers %q", got)
		}
		if n := len(read(x.relay, &x.relay.messages)); n != 4 {
			t.Errorf("%d messages were sent", n)
		}
	})
}

// One message is let through an empty window whatever its size.
func TestLaneLargeMessage(t *testing.T) {
	bubble(t, func(cfg *Config) { cfg.Window = 10 }, func(x *fixture) {
		x.relay.set(held)
		p := x.connect(x.json)
		p.send(toAway(0))
		if n := len(read(x.relay, &x.relay.messages)); n != 1 {
			t.Error("a large message never fits")
		}
	})
}

// A flood of made-up addresses does not grow the table of lanes without bound.
func TestLaneTable(t *testing.T) {
	bubble(t, nil, func(x *fixture) {
		x.relay.set(held)
		p := x.connect(x.json)
		for i := range 3 * maxLanes {
			p.Receive([]byte(fmt.Sprintf(`{"entity":"service","entity_id":%d,"message":1}`, i)))
		}
		if n := len(x.lanes.m); n > maxLanes {
			t.Errorf("%d lanes are remembered", n)
		}
		if n := x.page.Drops(shared.CodeOverloaded); n != 0 {
			t.Errorf("%d messages were dropped", n)
		}
	})
}

// A paused client is waited for as long as its budget lasts; resume ends the wait.
func TestPaused(t *testing.T) {
	for _, tc := range []struct {
		name    string
		budget  uint32 // ms
		resume  time.Duration
		waits   time.Duration
		dropped bool
	}{
		{"resumed", 1000, 300 * time.Millisecond, 300 * time.Millisecond, false},
		{"budget of another", 200, 0, 200 * time.Millisecond, true},
		{"own push_back", 5000, 0, time.Second, true},
		{"no budget", 0, 0, 0, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			bubble(t, nil, func(x *fixture) {
				x.relay.set(held)
				p := x.connect(x.json)
				frame := wire.Pause{Client: away, Process: 9, Budget: tc.budget}
				x.relay.do(func() { x.OnPause(frame, true) })
				synctest.Wait()
				if tc.resume > 0 {
					time.AfterFunc(tc.resume, func() { x.relay.do(func() { x.OnPause(frame, false) }) })
				}
				start := time.Now()
				p.send(toAway(0))
				if waited := time.Since(start); waited != tc.waits {
					t.Errorf("waited %v, want %v", waited, tc.waits)
				}
				synctest.Wait()
				if got := len(p.take()) == 1; got != tc.dropped {
					t.Errorf("dropped: %v", got)
				}
				p.send(`{"entity":"room","entity_id":1,"message":1}`) // others are not held back
				time.Sleep(pauseExpires + tickEvery)                  // synctest: it is forgotten
				start = time.Now()
				p.send(toAway(1))
				if time.Since(start) != 0 || len(read(x.relay, &x.relay.messages)) < 2 {
					t.Error("a pause that was not renewed still holds")
				}
			})
		})
	}
}

// The link's own queue: a direct message of a stream waits for space.
func TestLinkQueueFull(t *testing.T) {
	bubble(t, nil, func(x *fixture) {
		x.relay.set(func(r *fakeRelay) { held(r); r.full = true })
		p := x.connect(x.json)
		p.send(`{"entity":"room","entity_id":1,"message":1,"id":1}`)
		p.expect(`{"type":"error","id":1,"code":"overloaded","error":"` + sentence(shared.CodeOverloaded).Text + `"}`)
		time.AfterFunc(100*time.Millisecond, func() {
			x.relay.set(func(r *fakeRelay) { r.full = false; close(r.space) })
		})
		start := time.Now()
		p.send(toAway(0))
		if waited := time.Since(start); waited != 100*time.Millisecond {
			t.Errorf("waited %v", waited)
		}
		if len(read(x.relay, &x.relay.messages)) != 1 {
			t.Error("the message is not sent")
		}
	})
}

// A client that is closed while it waits stops waiting.
func TestCloseWhileWaiting(t *testing.T) {
	bubble(t, window, func(x *fixture) {
		x.relay.set(held)
		p := x.connect(x.json)
		time.AfterFunc(50*time.Millisecond, func() { p.Client.Close(nil) })
		start := time.Now()
		for i := range 4 {
			p.Receive([]byte(toAway(i)))
		}
		if waited := time.Since(start); waited != 50*time.Millisecond {
			t.Errorf("waited %v", waited)
		}
	})
}

// Who gets no result is told after 4.8 s, exactly once.
func TestAnswerTimeout(t *testing.T) {
	bubble(t, nil, func(x *fixture) {
		x.relay.set(held)
		p := x.connect(x.json)
		p.send(toAway(1), `{"type":"join","entity":"room","entity_id":1,"id":2}`)
		time.Sleep(answerAfter - time.Millisecond)
		p.expect()
		if !p.Owed() {
			t.Error("nothing is owed to a client that waits")
		}
		time.Sleep(2 * tickEvery)
		synctest.Wait()
		if got := codes(p.take()); !slices.Equal(got, []string{"timeout", "timeout"}) {
			t.Errorf("answers %q", got)
		}
		x.relay.do(func() { x.OnResult(&wire.Result{Token: read(x.relay, &x.relay.messages)[0].Token, Delivered: 1}) })
		p.expect()
		if p.Owed() || x.pending.len() != 0 {
			t.Error("something is still owed")
		}
		if got := read(x.relay, &x.relay.groups); !slices.Equal(got, []string{"+room/1", "-room/1"}) {
			t.Errorf("groups %q", got)
		}
	})
}

// Results of groups over processes: what a client is told.
func TestResults(t *testing.T) {
	result := func(delivered uint32, failures ...wire.Failure) (r wire.Result) {
		r.Delivered = delivered
		for _, f := range failures {
			r.Fail(f.Code, f.Count)
		}
		return r
	}
	for _, tc := range []struct {
		result wire.Result
		want   string
	}{
		{result(3), `{"type":"receipt","id":1,"delivered":3}`},
		{result(1, wire.Failure{Code: shared.CodeOverloaded, Count: 2}), `{"type":"receipt","id":1,"delivered":1,"failed":{"overloaded":2}}`},
		{result(0), "no_such_entity"},
		{result(0, wire.Failure{Code: shared.CodeOverloaded, Count: 2}, wire.Failure{Code: shared.CodeUnsupported, Count: 1}), "overloaded"},
		{result(0, wire.Failure{Code: shared.CodeOverloaded, Count: 9}, wire.Failure{Code: shared.CodeProcessLost, Count: 1}), "process_lost"},
		{result(0, wire.Failure{Code: shared.CodeOverloaded, Count: 9}, wire.Failure{Code: shared.CodeTimeout, Count: 1}), "timeout"},
	} {
		bubble(t, nil, func(x *fixture) {
			x.relay.set(held)
			p := x.connect(x.json)
			p.send(`{"entity":"room","entity_id":1,"message":1,"id":1}`)
			tc.result.Token = read(x.relay, &x.relay.messages)[0].Token
			forged := tc.result
			forged.Token ^= 1 << 40
			x.relay.do(func() { x.OnResult(&forged); x.OnResult(&tc.result); x.OnResult(&tc.result) })
			synctest.Wait()
			if got := codes(p.take()); !slices.Equal(got, []string{tc.want}) {
				t.Errorf("%+v: got %q, want %q", tc.result, got, tc.want)
			}
		})
	}
}

// A join that the manager refuses is undone.
func TestJoinRefused(t *testing.T) {
	bubble(t, nil, func(x *fixture) {
		x.relay.set(held)
		p := x.connect(x.json)
		p.send(`{"type":"join","entity":"room","entity_id":1,"id":1}`)
		p.expect()
		var r wire.Result
		r.Fail(shared.CodeOverloaded, 1)
		x.pending.mu.Lock()
		r.Token = uint64(x.pending.slots[0].check) << 32
		x.pending.mu.Unlock()
		x.relay.do(func() { x.OnResult(&r) })
		synctest.Wait()
		if got := codes(p.take()); !slices.Equal(got, []string{"overloaded"}) {
			t.Errorf("answers %q", got)
		}
		if p.joined.len() != 0 {
			t.Error("it is still a member")
		}
	})
}

// The table of open tokens is bounded in bytes.
func TestPendingBound(t *testing.T) {
	bound := func(cfg *Config) { cfg.Params.Limits.ProcessQueueBytes = 10 * (pendingCost + 1) }
	bubble(t, bound, func(x *fixture) {
		x.relay.set(held)
		p := x.connect(x.json)
		for range 12 {
			p.send(`{"entity":"room","entity_id":1,"message":1,"id":1}`)
		}
		synctest.Wait()
		if got := codes(p.take()); !slices.Equal(got, []string{"overloaded", "overloaded"}) {
			t.Errorf("answers %q", got)
		}
	})
}

func TestPassThroughMessage(t *testing.T) {
	bubble(t, nil, func(x *fixture) {
		p := x.connect(x.json)
		ctx := context.Background()
		r, err := x.PassThroughMessage(ctx, p.ID().Address(), shared.AnyProcess, map[string]int{"a": 1})
		if err != nil || r.Delivered != 1 {
			t.Errorf("receipt %+v, %v", r, err)
		}
		p.expect(`{"type":"message","entity":"client","entity_id":SELF,"from":{"entity":"service","entity_id":2},"message":{"a":1}}`)
		if _, err = x.PassThroughMessage(ctx, shared.Address{Entity: "room", ID: 1}, 3, []byte("1")); codeOf(err) != shared.CodeNoSuchEntity {
			t.Errorf("empty group: %v", err)
		}
		if read(x.relay, &x.relay.messages)[1].Process != 3 {
			t.Error("the process is not passed on")
		}
		for _, bad := range []struct {
			to      shared.Address
			process int
			message any
		}{
			{shared.Address{}, shared.AnyProcess, 1},
			{shared.Address{Entity: strings.Repeat("x", 256)}, shared.AnyProcess, 1},
			{shared.Address{Entity: "room"}, 9000, 1},
			{shared.Address{Entity: "room"}, shared.AnyProcess, []byte("{")},
			{shared.Address{Entity: "room"}, shared.AnyProcess, func() {}},
			{shared.Address{Entity: "room"}, shared.AnyProcess, make([]byte, shared.MaxMessageBytes+1)},
		} {
			if _, err := x.PassThroughMessage(ctx, bad.to, bad.process, bad.message); err == nil {
				t.Errorf("message to %q process %d passed", bad.to.Entity, bad.process)
			}
		}
		x.relay.set(held)
		short, cancel := context.WithTimeout(ctx, time.Second)
		defer cancel()
		if _, err := x.PassThroughMessage(short, shared.Address{Entity: "room"}, shared.AnyProcess, 1); err == nil || short.Err() == nil {
			t.Errorf("cancelled: %v", err)
		}
		if n := x.pending.len(); n != 0 {
			t.Errorf("%d tokens are still open", n)
		}
		if _, err := x.PassThroughMessage(ctx, shared.Address{Entity: "room"}, shared.AnyProcess, 1); codeOf(err) != shared.CodeTimeout {
			t.Errorf("no result: %v", err)
		}
	})
}
