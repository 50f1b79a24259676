package hub

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/antano/antano/shared"
	"github.com/antano/antano/shared/wire"
)

// senders are those that a successor is told of.
func (x *fixture) senders() (told []string) {
	x.relay.do(func() {
		for b := x.Replay(nil); len(b) > 0; {
			f, n, _, err := wire.Next(b)
			must(err)
			b = b[n:]
			var s wire.Senders
			if f.Type != wire.TypeSenders {
				continue
			}
			must(s.Parse(f.Body))
			for id := range s.All {
				told = append(told, fmt.Sprintf("%d/%d", s.Kind, id))
			}
		}
	})
	synctest.Wait()
	slices.Sort(told)
	return told
}

// TestReplayCallers: a successor of the manager hears who called the handler, for 10 to 20
// minutes; not who asked for this process by its id.
func TestReplayCallers(t *testing.T) {
	bubble(t, withHandler(func(context.Context, *shared.Message) (any, error) { return nil, nil }), func(x *fixture) {
		call := func(kind wire.Kind, id int64, process uint16) {
			x.relay.do(func() {
				x.OnMessage(&wire.Message{Kind: wire.KindService, EntityID: 2, Process: process, FromKind: kind, FromID: id, Value: []byte("1")})
			})
			synctest.Wait()
		}
		want := func(all ...string) {
			t.Helper()
			if got := x.senders(); !slices.Equal(got, all) {
				t.Errorf("told %v, want %v", got, all)
			}
		}
		want()
		call(wire.KindClient, 7, wire.AnyProcess)
		call(wire.KindService, 8, wire.AnyProcess)
		call(wire.KindClient, 9, 1)
		want("1/7", "2/8")
		time.Sleep(callersTime)
		call(wire.KindClient, 7, wire.AnyProcess)
		want("1/7", "1/7", "2/8")
		time.Sleep(callersTime)
		call(wire.KindClient, 10, wire.AnyProcess)
		want("1/10", "1/7")
		for id := range int64(wire.MaxSenders + 5) {
			x.jobs.callers.note(source{wire.KindClient, id}, time.Now())
		}
		if n := len(x.senders()); n != wire.MaxSenders+5+1 {
			t.Errorf("told %d", n)
		}
	})
}
