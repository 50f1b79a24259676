package hub

import (
	"testing"
	"testing/synctest"
)

// Kick ends the client that is meant, once.
func TestKick(t *testing.T) {
	bubble(t, nil, func(x *fixture) {
		e := x.endpoint(EndpointConfig{Frame: line})
		p, other := x.connect(e), x.connect(e)
		p.send(joinRoom)
		synctest.Wait()
		if x.Kick(p.ID() + 100) {
			t.Error("a client that does not exist is kicked")
		}
		if !x.Kick(p.ID()) || x.Kick(p.ID()) {
			t.Error("not kicked exactly once")
		}
		synctest.Wait()
		if groups := read(x.relay, &x.relay.groups); !p.ended() || other.ended() || len(x.Rows()) != 1 || len(groups) != 2 {
			t.Errorf("the client ended: %v, the other: %v; groups %v", p.ended(), other.ended(), groups)
		}
	})
}
