package hub

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/antano/antano/shared"
	"github.com/antano/antano/shared/wire"
)

func withHandler(f Handler) func(*Config) { return func(cfg *Config) { cfg.Handler = f } }

const toService = `{"entity":"service","entity_id":2,"message":%s%s}`

// What a handler returns, as its sender sees it.
func TestHandlerResponse(t *testing.T) {
	var seen []shared.Message
	for _, tc := range []struct {
		name     string
		response any
		err      error
		withID   []string
		without  []string
	}{
		{"nothing", nil, nil, []string{`{"type":"receipt","id":"q","delivered":1}`}, nil},
		{"a value", map[string]int{"a": 1}, nil, []string{`{"type":"receipt","id":"q","delivered":1}`, `MESSAGE"in_reply_to":"q","message":{"a":1}}`},
			[]string{`MESSAGE"message":{"a":1}}`}},
		{"raw", []byte(`"raw"`), nil, []string{`{"type":"receipt","id":"q","delivered":1}`, `MESSAGE"in_reply_to":"q","message":"raw"}`}, []string{`MESSAGE"message":"raw"}`}},
		{"raw JSON", json.RawMessage(`[1]`), nil, []string{`{"type":"receipt","id":"q","delivered":1}`, `MESSAGE"in_reply_to":"q","message":[1]}`}, []string{`MESSAGE"message":[1]}`}},
		{"cannot be encoded", func() {}, nil, []string{`{"type":"receipt","id":"q","delivered":1}`}, nil},
		{"a code", nil, shared.Errorf(shared.CodeDenied, "no"), []string{"denied"}, []string{"denied"}},
		{"a delivery code", nil, shared.Errorf(shared.CodeOverloaded, "no"), []string{"overloaded"}, nil},
		{"any error", nil, errors.New("no"), []string{"unsupported"}, []string{"unsupported"}},
		{"panic", "panic", nil, []string{"unsupported"}, []string{"unsupported"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			handler := func(ctx context.Context, m *shared.Message) (any, error) {
				seen = append(seen, *m)
				if tc.response == "panic" {
					panic("out of luck")
				}
				return tc.response, tc.err
			}
			bubble(t, withHandler(handler), func(x *fixture) {
				p := x.connect(x.json)
				for id, want := range map[string][]string{`,"id":"q"`: tc.withID, "": tc.without} {
					seen = nil
					p.send(fmt.Sprintf(toService, `{"x": 1}`, id))
					synctest.Wait()
					got := codes(p.take())
					for i := range got {
						got[i] = strings.Replace(got[i], fmt.Sprintf(`{"type":"message","entity":"client","entity_id":%d,"from":{"entity":"service","entity_id":2},`, uint64(p.ID())), "MESSAGE", 1)
					}
					slices.Sort(got)
					slices.Sort(want)
					if !slices.Equal(got, want) {
						t.Errorf("id %q: got %q, want %q", id, got, want)
					}
					if len(seen) != 1 || string(seen[0].Value) != `{"x": 1}` || seen[0].From != p.ID().Address() || seen[0].To != x.self() ||
						seen[0].Format != shared.FormatJSON || (len(seen[0].ID) > 0) != (id != "") {
						t.Errorf("handler saw %+v", seen)
					}
				}
			})
		})
	}
}

// Calls of one sender are made in order and one at a time, those of others meanwhile.
func TestHandlerOrder(t *testing.T) {
	var mu sync.Mutex
	running, most := map[shared.Address]int{}, 0
	got := map[shared.Address][]string{}
	handler := func(ctx context.Context, m *shared.Message) (any, error) {
		mu.Lock()
		running[m.From]++
		if running[m.From] > 1 {
			t.Error("two calls of one sender at a time")
		}
		most = max(most, len(running))
		got[m.From] = append(got[m.From], string(m.Value))
		mu.Unlock()
		<-time.After(time.Millisecond) // synctest
		mu.Lock()
		if running[m.From]--; running[m.From] == 0 {
			delete(running, m.From)
		}
		mu.Unlock()
		return nil, nil
	}
	bubble(t, withHandler(handler), func(x *fixture) {
		a, b := x.connect(x.json), x.connect(x.json)
		var want []string
		for i := range 20 {
			want = append(want, fmt.Sprint(i))
			a.send(fmt.Sprintf(toService, want[i], ""))
			b.send(fmt.Sprintf(toService, want[i], ""))
		}
		<-time.After(time.Second) // synctest
		mu.Lock()
		defer mu.Unlock()
		for _, p := range []*peer{a, b} {
			if !slices.Equal(got[p.ID().Address()], want) {
				t.Errorf("order %q", got[p.ID().Address()])
			}
		}
		if most != 2 {
			t.Errorf("%d senders were handled at a time, want 2", most)
		}
		if n := x.jobs.len(); n != 0 {
			t.Errorf("%d mailboxes are left", n)
		}
	})
}

// A handler that hangs: its sender gets timeout, its later calls are bounded, health
// names it, and closing cancels it.
func TestHandlerHangs(t *testing.T) {
	hang := func(ctx context.Context, m *shared.Message) (any, error) {
		<-ctx.Done()
		<-time.After(time.Minute) // synctest
		return nil, ctx.Err()
	}
	bubble(t, func(cfg *Config) {
		cfg.Handler, cfg.HandlerTimeout = hang, 30*time.Second
		cfg.Params.Limits.ClientQueueBytes = 3000
	}, func(x *fixture) {
		p := x.connect(x.json)
		p.send(fmt.Sprintf(toService, "1", `,"id":1`))
		<-time.After(5 * time.Second)
		synctest.Wait()
		if got := codes(p.take()); !slices.Equal(got, []string{"timeout"}) {
			t.Errorf("answers %q", got)
		}
		for i := range 20 {
			p.send(fmt.Sprintf(toService, "1", fmt.Sprintf(`,"id":%d`, i)))
		}
		<-time.After(1100 * time.Millisecond) // push_back
		synctest.Wait()
		if got := codes(p.take()); len(got) == 0 || got[0] != "overloaded" {
			t.Errorf("answers %q", got)
		}
		if h := x.Health(); h != "" {
			t.Errorf("health %q", h)
		}
		<-time.After(26 * time.Second)
		if h := x.Health(); !strings.Contains(h, "handler call for client/") {
			t.Errorf("health %q", h)
		}
		short, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		if err := x.Close(short); err == nil {
			t.Error("closed while a handler runs")
		}
		<-time.After(time.Hour)
	})
}

// Messages beyond the process-wide bound are not kept.
func TestHandlerBound(t *testing.T) {
	hang := func(ctx context.Context, m *shared.Message) (any, error) { <-ctx.Done(); return nil, nil }
	bubble(t, func(cfg *Config) {
		cfg.Handler = hang
		cfg.Params.Limits.ProcessQueueBytes = 4 * mailboxCost
	}, func(x *fixture) {
		for range 10 {
			x.connect(x.json).send(fmt.Sprintf(toService, "1", ""))
		}
		synctest.Wait()
		if n := x.queued.Load(); n > 4*mailboxCost {
			t.Errorf("%d bytes are queued", n)
		}
		if n := x.page.Drops(shared.CodeOverloaded); n < 6 {
			t.Errorf("%d messages were dropped", n)
		}
	})
}

// A response that answers a message of a service carries its id, and is not answered.
func TestHandlerReplyFromService(t *testing.T) {
	var got []shared.Message
	handler := func(ctx context.Context, m *shared.Message) (any, error) {
		if got = append(got, *m); len(got) > 3 {
			return nil, nil // enough of a loop
		}
		return "and you", nil
	}
	bubble(t, withHandler(handler), func(x *fixture) {
		x.relay.do(func() {
			x.OnMessage(&wire.Message{Flags: wire.FlagReply, Kind: wire.KindService, EntityID: serviceID, Process: 3, FromKind: wire.KindService,
				FromID: serviceID, ID: []byte(`"q"`), Format: shared.FormatJSON, Value: []byte("1")})
		})
		synctest.Wait()
		if len(got) != 1 || string(got[0].InReplyTo) != `"q"` || got[0].ID != nil || got[0].ProcessID != 3 {
			t.Errorf("handler saw %+v", got)
		}
	})
}

// Drain ends when nothing is owed any more, and not before.
func TestDrain(t *testing.T) {
	handler := func(ctx context.Context, m *shared.Message) (any, error) {
		<-time.After(500 * time.Millisecond) // synctest
		return "done", nil
	}
	bubble(t, withHandler(handler), func(x *fixture) {
		p, idle := x.connect(x.json), x.connect(x.json)
		p.send(fmt.Sprintf(toService, "1", `,"id":1`))
		start := time.Now()
		if n := x.Drain(context.Background()); n != 0 {
			t.Errorf("%d clients are unfinished", n)
		}
		if took := time.Since(start); took < 500*time.Millisecond || took > time.Second {
			t.Errorf("drained in %v", took)
		}
		if got := p.take(); len(got) != 2 {
			t.Errorf("answers %q", got)
		}
		if !p.sink.closed || !idle.sink.closed || len(x.Rows()) != 0 {
			t.Error("clients are left")
		}
	})
}

// A client that does not read is all that uses the deadline.
func TestDrainDeadline(t *testing.T) {
	bubble(t, nil, func(x *fixture) {
		slow, p := x.connect(x.json), x.connect(x.json)
		slow.change(func() { slow.room = 0 })
		p.send(toPeer(slow, "x", ""))
		synctest.Wait()
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		start := time.Now()
		if n := x.Drain(ctx); n != 1 {
			t.Errorf("%d clients are unfinished, want 1", n)
		}
		if took := time.Since(start); took != time.Second {
			t.Errorf("drained in %v", took)
		}
	})
}

func TestRows(t *testing.T) {
	bubble(t, nil, func(x *fixture) {
		p := x.connect(x.json)
		p.send(`{"type":"join","entity":"room","entity_id":1}`, `{"type":"ping"}`)
		synctest.Wait()
		rows := x.Rows()
		if len(rows) != 1 || rows[0].ID != p.ID() || rows[0].MessagesIn != 2 || rows[0].MessagesOut != 2 || rows[0].Groups != 1 ||
			rows[0].Address != "test" || rows[0].QueuedBytes != 0 || rows[0].Connected.IsZero() {
			t.Errorf("rows %+v", rows)
		}
		if clients, in, out, bytesIn, bytesOut := x.page.Counts(); clients != 1 || in != 2 || out != 2 || bytesIn == 0 || bytesOut == 0 {
			t.Errorf("counts %d %d %d %d %d", clients, in, out, bytesIn, bytesOut)
		}
	})
}
