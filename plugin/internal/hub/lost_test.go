package hub

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/antano/antano/shared"
	"github.com/antano/antano/shared/wire"
)

// waitingOf offers the given messages of the relay as those that wait for a successor.
func waitingOf(messages ...wire.Message) func(func(wire.Frame)) {
	return func(f func(wire.Frame)) {
		for i := range messages {
			frame, _, _, err := wire.Next(wire.AppendMessage(nil, &messages[i]))
			must(err)
			f(frame)
		}
	}
}

// What the manager had got is lost with it, what waits for its successor is not; a
// planned change loses nothing.
func TestOnLost(t *testing.T) {
	bubble(t, nil, func(x *fixture) {
		x.relay.set(held)
		p := x.connect(x.json)
		p.send(toAway(1), toAway(2), toAway(3))
		sent := read(x.relay, &x.relay.messages)
		x.relay.do(func() { x.OnLost(true, waitingOf(sent[2])) })
		p.expect()
		x.relay.do(func() { x.OnLost(false, waitingOf(sent[2])) })
		synctest.Wait()
		if got := codes(p.take()); !slices.Equal(got, []string{"process_lost", "process_lost"}) {
			t.Errorf("answers %q", got)
		}
		x.relay.do(func() { x.OnResult(&wire.Result{Token: sent[2].Token, Delivered: 1}) })
		p.expect(`{"type":"receipt","id":3,"delivered":1}`)
		if n := x.page.Drops(shared.CodeProcessLost); n != 0 {
			t.Errorf("%d that were answered are counted too", n)
		}
		x.relay.do(func() { x.OnUnread(4) })
		synctest.Wait()
		if n := x.page.Drops(shared.CodeProcessLost); n != 4 {
			t.Errorf("%d counted, 4 were lost", n)
		}
	})
}

// The window of a lane holds what waits, and no more: the rest went with the manager.
func TestOnLostRestartsLanes(t *testing.T) {
	bubble(t, window, func(x *fixture) {
		x.relay.set(held)
		p := x.connect(x.json)
		go func() {
			for i := range 4 {
				p.send(toAway(i))
			}
		}()
		synctest.Wait()
		sent := read(x.relay, &x.relay.messages)
		if len(sent) != 2 {
			t.Fatalf("%d messages were sent into a window for 2", len(sent))
		}
		x.relay.do(func() { x.OnLost(false, waitingOf(sent[1])) })
		synctest.Wait()
		if n := len(read(x.relay, &x.relay.messages)); n != 3 {
			t.Errorf("%d messages after one of 2 was lost", n)
		}
		x.relay.do(func() { x.OnLost(false, waitingOf()) })
		synctest.Wait()
		if n := len(read(x.relay, &x.relay.messages)); n != 4 {
			t.Errorf("%d messages after all were lost", n)
		}
		x.relay.do(func() { x.OnLost(false, waitingOf()) })
	})
}

// A successor is told of every group, and asked again where the predecessor had not
// answered: no join is lost.
func TestReplay(t *testing.T) {
	bubble(t, nil, func(x *fixture) {
		p := x.connect(x.json)
		p.send(`{"type":"join","entity":"room","entity_id":1,"id":1}`)
		p.expect(`{"type":"joined","id":1,"entity":"room","entity_id":1}`)
		x.relay.set(held)
		p.send(`{"type":"join","entity":"room","entity_id":2,"id":2}`)
		synctest.Wait()
		var open uint64
		var groups []string
		x.relay.do(func() {
			x.OnLost(false, waitingOf())
			for b := x.Replay(nil); len(b) > 0; {
				f, n, _, err := wire.Next(b)
				must(err)
				var g wire.Group
				must(g.Parse(f.Body))
				groups = append(groups, fmt.Sprintf("%s %s/%d %v", f.Type, g.Entity, g.ID, g.Token != 0))
				open += g.Token
				b = b[n:]
			}
		})
		synctest.Wait()
		slices.Sort(groups)
		if got := strings.Join(groups, ", "); got != "subscribe room/1 false, subscribe room/2 true" {
			t.Errorf("replayed %s", got)
		}
		p.expect()
		x.relay.do(func() { x.OnResult(&wire.Result{Token: open, Delivered: 1}) })
		p.expect(`{"type":"joined","id":2,"entity":"room","entity_id":2}`)
	})
}
