package hub

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/antano/antano/shared"
)

// gate is a handler whose calls wait until it is opened.
type gate struct {
	opened chan struct{}
	mu     sync.Mutex
	got    []string
}

// in puts the gate into a hub; it belongs to the bubble then.
func (g *gate) in(cfg *Config) {
	small(cfg)
	g.opened = make(chan struct{})
	cfg.Handler = func(_ context.Context, m *shared.Message) (any, error) {
		<-g.opened
		g.mu.Lock()
		defer g.mu.Unlock()
		g.got = append(g.got, string(m.Value))
		return nil, nil
	}
}

// A stream that sends to a handler faster than that takes it is held back; what is under
// way is kept above the bound and goes on when the handler does, in order.
func TestHandlerPushBack(t *testing.T) {
	var g gate
	bubble(t, g.in, func(x *fixture) {
		p := x.connect(x.json)
		const n = 12
		sent := make(chan struct{})
		go func() {
			defer close(sent)
			for i := range n {
				p.send(fmt.Sprintf(toService, fmt.Sprint(i), fmt.Sprintf(`,"id":%d`, i)))
				synctestYield(x)
			}
		}()
		time.Sleep(500 * time.Millisecond) // synctest
		if pauses := read(x.relay, &x.relay.pauses); len(pauses) != 1 || !strings.HasSuffix(pauses[0], " 1000") {
			t.Errorf("pauses %q", pauses)
		}
		select {
		case <-sent:
			t.Error("the sender was not held back")
		default:
		}
		close(g.opened)
		<-sent
		synctest.Wait()
		if answers := p.take(); len(answers) != n || strings.Contains(strings.Join(answers, ""), "error") {
			t.Errorf("answers %q", answers)
		}
		for i, v := range g.got {
			if v != fmt.Sprint(i) {
				t.Errorf("call %d was for %s", i, v)
			}
		}
		pauses := read(x.relay, &x.relay.pauses)
		if last := pauses[len(pauses)-1]; !strings.HasSuffix(last, " 0") || x.jobs.full != 0 {
			t.Errorf("pauses %q, %d mailboxes push back", pauses, x.jobs.full)
		}
	})
}

// synctestYield lets the relay's goroutine go on before the next message.
func synctestYield(x *fixture) {
	done := make(chan struct{})
	x.relay.do(func() { close(done) })
	<-done
	x.relay.do(func() {})
}

// After push_back, what stands above the bound is dropped, and what comes then is at once;
// so is what comes from a datagram source.
func TestHandlerPushBackEnds(t *testing.T) {
	var g gate
	bubble(t, g.in, func(x *fixture) {
		p, d := x.connect(x.json), x.connect(x.endpoint(EndpointConfig{Datagram: true}))
		const n = 12
		for i := range n { // faster than the pause comes
			p.send(fmt.Sprintf(toService, fmt.Sprint(i), fmt.Sprintf(`,"id":%d`, i)))
			d.send(fmt.Sprintf(toService, fmt.Sprint(i), fmt.Sprintf(`,"id":%d`, i)))
		}
		synctest.Wait()
		dropped := len(d.take())
		if dropped == 0 || dropped == n {
			t.Errorf("%d datagrams were dropped at once", dropped)
		}
		time.Sleep(1100 * time.Millisecond) // synctest
		synctest.Wait()
		got := codes(p.take())
		if len(got) != dropped || slices.ContainsFunc(got, func(c string) bool { return c != "overloaded" }) {
			t.Errorf("answers %q, want %d", got, dropped)
		}
		p.send(fmt.Sprintf(toService, "99", `,"id":99`))
		synctest.Wait()
		if got := codes(p.take()); !slices.Equal(got, []string{"overloaded"}) {
			t.Errorf("late: %q", got)
		}
		close(g.opened)
		synctest.Wait()
		if got := p.take(); len(got) != n-dropped {
			t.Errorf("%d answers", len(got))
		}
	})
}
