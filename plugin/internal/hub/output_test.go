package hub

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/antano/antano/shared"
	"github.com/antano/antano/shared/wire"
)

// limits of a small client queue: one message of 300 bytes and little more.
func small(cfg *Config) { cfg.Params.Limits.ClientQueueBytes = 1000 }

func toPeer(p *peer, message, id string) string {
	if id != "" {
		id = `,"id":` + id
	}
	return fmt.Sprintf(`{"entity":"client","entity_id":%d,"message":"%s"%s}`, uint64(p.ID()), message, id)
}

func values(messages []string) (out []string) {
	for _, m := range messages {
		if _, v, ok := strings.Cut(m, `"message":"`); ok {
			out = append(out, strings.TrimSuffix(v, `"}`))
		}
	}
	return out
}

// A client that takes its output byte by byte gets every message whole, once and in
// order, and a receipt is sent only for what was written to its last byte.
func TestPartialWrites(t *testing.T) {
	bubble(t, nil, func(x *fixture) {
		slow, p := x.connect(x.json), x.connect(x.json)
		slow.change(func() { slow.room = 0 })
		var want []string
		for i := range 20 {
			want = append(want, fmt.Sprint("m", i))
			p.send(toPeer(slow, want[i], fmt.Sprint(i)))
		}
		p.expect()
		var got []string
		for len(got) < len(want) {
			slow.change(func() { slow.room += 7 })
			synctest.Wait()
			got = append(got, values(slow.take())...)
			if receipts := p.take(); len(receipts) > 0 && len(got) == 0 {
				t.Fatal("a receipt came before the last byte")
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("got %q", got)
		}
		if slow.Owed() {
			t.Error("something is still owed")
		}
	})
}

// A slow member of a group costs only its own copies: they fail overloaded, at once,
// and the receipt says so.
func TestSlowMember(t *testing.T) {
	bubble(t, small, func(x *fixture) {
		slow, fast := x.connect(x.json), x.connect(x.json)
		for _, p := range []*peer{slow, fast} {
			p.send(`{"type":"join","entity":"room","entity_id":1}`)
		}
		synctest.Wait()
		slow.take()
		fast.take()
		slow.change(func() { slow.room = 0 })
		x.relay.set(func(r *fakeRelay) { r.results = nil })
		for i := range 10 {
			fast.send(fmt.Sprintf(`{"entity":"room","entity_id":1,"message":"%d%s","id":%d}`, i, strings.Repeat("x", 200), i))
			synctest.Wait() // the fast member's own queue has the same small bound
		}
		got := fast.take()
		if n := len(values(got)); n != 10 {
			t.Errorf("the fast member got %d of 10 messages", n)
		}
		if n := x.page.Drops(shared.CodeOverloaded); n < 6 {
			t.Errorf("%d copies dropped, want most of 10", n)
		}
		if _, n := slow.waiting(); n > 1000 {
			t.Errorf("%d bytes are queued over a bound of 1000", n)
		}
		time.Sleep(answerAfter) // synctest
		synctest.Wait()
		receipts := slices.DeleteFunc(append(got, fast.take()...), func(m string) bool { return len(values([]string{m})) > 0 })
		if len(receipts) != 10 {
			t.Errorf("%d receipts for 10 messages", len(receipts))
		}
		for _, r := range receipts {
			if !strings.Contains(r, `"delivered":1`) || !strings.Contains(r, `"failed":{"`) {
				t.Errorf("receipt %s", r)
			}
		}
		slow.open()
	})
}

// What a stream sends directly to a full client pushes back: the source process is
// told, what is under way is kept above the bound, and dropped when the budget is
// used up; when the queue is half empty the source is told to go on.
func TestPushBack(t *testing.T) {
	for _, drained := range []bool{true, false} {
		t.Run(fmt.Sprint("drained ", drained), func(t *testing.T) {
			bubble(t, small, func(x *fixture) {
				slow, p := x.connect(x.json), x.connect(x.json)
				slow.change(func() { slow.room = 0 })
				var want []string
				for i := range 8 {
					want = append(want, fmt.Sprint(i, strings.Repeat("x", 200)))
					p.send(toPeer(slow, want[i], fmt.Sprint(i)))
				}
				synctest.Wait()
				if got := read(x.relay, &x.relay.pauses); !slices.Equal(got, []string{"pause 3 1000"}) {
					t.Errorf("pauses %q", got)
				}
				if n, _ := slow.waiting(); n != 8 {
					t.Errorf("%d messages are kept, want all 8", n)
				}
				p.expect()
				if drained {
					slow.open()
					synctest.Wait()
					if got := values(slow.take()); !slices.Equal(got, want) {
						t.Errorf("got %q", got)
					}
					if n := len(p.take()); n != 8 {
						t.Errorf("%d receipts", n)
					}
					if got := read(x.relay, &x.relay.pauses); !slices.Equal(got, []string{"pause 3 1000", "resume 3"}) {
						t.Errorf("pauses %q", got)
					}
					return
				}
				time.Sleep(1100 * time.Millisecond) // synctest
				synctest.Wait()
				kept, bytes := slow.waiting()
				if kept == 0 || kept == 8 || bytes > 1000 {
					t.Errorf("%d messages of %d bytes are kept", kept, bytes)
				}
				if got := codes(p.take()); !slices.Equal(got, slices.Repeat([]string{"overloaded"}, 8-kept)) {
					t.Errorf("answers %q, %d kept", got, kept)
				}
				p.send(toPeer(slow, strings.Repeat("y", 200), `"late"`)) // the budget is used up
				synctest.Wait()
				if got := codes(p.take()); !slices.Equal(got, []string{"overloaded"}) {
					t.Errorf("late: %q", got)
				}
				if got := read(x.relay, &x.relay.pauses); got[len(got)-1] != "pause 3 0" {
					t.Errorf("pauses %q", got)
				}
				slow.open()
				synctest.Wait()
				if got := values(slow.take()); !slices.Equal(got, want[:kept]) {
					t.Errorf("got %q", got)
				}
			})
		})
	}
}

// A message from a datagram source does not push back.
func TestDatagramToFullClient(t *testing.T) {
	bubble(t, small, func(x *fixture) {
		slow := x.connect(x.json)
		p := x.connect(x.endpoint(EndpointConfig{Datagram: true}))
		slow.change(func() { slow.room = 0 })
		for i := range 6 {
			p.send(toPeer(slow, strings.Repeat("x", 300), fmt.Sprint(i)))
		}
		synctest.Wait()
		if got := codes(p.take()); len(got) == 0 || got[0] != "overloaded" {
			t.Errorf("answers %q", got)
		}
		if len(read(x.relay, &x.relay.pauses)) != 0 {
			t.Errorf("pauses %q", read(x.relay, &x.relay.pauses))
		}
	})
}

// The bound over the whole process holds; a client that reads is served even when
// others have used it up.
func TestProcessBound(t *testing.T) {
	bound := func(cfg *Config) { cfg.Params.Limits.ProcessQueueBytes = 8000 }
	bubble(t, bound, func(x *fixture) {
		slow, fast, p := x.connect(x.json), x.connect(x.json), x.connect(x.json)
		slow.change(func() { slow.room = 0 })
		for range 30 {
			p.send(toPeer(slow, strings.Repeat("x", 400), ""))
		}
		synctest.Wait()
		if n := x.queued.Load(); n > 8000+600 {
			t.Errorf("%d bytes are queued over a bound of 8000", n)
		}
		if n := x.page.Drops(shared.CodeOverloaded); n == 0 {
			t.Error("nothing was dropped")
		}
		p.send(toPeer(fast, "hello", "1"))
		synctest.Wait()
		if got := values(fast.take()); !slices.Equal(got, []string{"hello"}) {
			t.Errorf("fast client got %q", got)
		}
		p.expect(`{"type":"receipt","id":1,"delivered":1}`)
	})
}

// A message that the Writer refuses is skipped, those behind it are written.
func TestWriterRefuses(t *testing.T) {
	bubble(t, nil, func(x *fixture) {
		picky, p := x.connect(x.json), x.connect(x.json)
		picky.sink.refuse = func(m []byte) error {
			if strings.Contains(string(m), "big") {
				return shared.Errorf(shared.CodeTooLarge, "too big")
			}
			return nil
		}
		x.relay.set(func(r *fakeRelay) { r.hold = true }) // so that one batch holds all
		for i, m := range []string{"one", "big", "two", "big", "three"} {
			p.send(toPeer(picky, m, fmt.Sprint(i)))
		}
		p.send(toPeer(picky, "big", ""))
		x.relay.set(func(r *fakeRelay) {
			r.hold = false
			for _, m := range r.messages {
				r.events <- func() { x.OnMessage(&m) }
			}
		})
		synctest.Wait()
		if got := values(picky.take()); !slices.Equal(got, []string{"one", "two", "three"}) {
			t.Errorf("got %q", got)
		}
		got := codes(p.take())
		slices.Sort(got)
		want := []string{"too_large", "too_large", "too_large", `{"type":"receipt","id":0,"delivered":1}`,
			`{"type":"receipt","id":2,"delivered":1}`, `{"type":"receipt","id":4,"delivered":1}`}
		if !slices.Equal(got, want) {
			t.Errorf("answers %q", got)
		}
	})
}

// A broken Writer ends the client, and what was queued for it fails.
func TestWriterFails(t *testing.T) {
	bubble(t, nil, func(x *fixture) {
		broken, p := x.connect(x.json), x.connect(x.json)
		broken.send(`{"type":"join","entity":"room","entity_id":1}`)
		broken.change(func() { broken.room = 0 })
		p.send(toPeer(broken, "a", "1"), toPeer(broken, "b", "2"))
		p.expect()
		broken.change(func() { broken.fail = errors.New("reset by peer") })
		synctest.Wait()
		if got := codes(p.take()); !slices.Equal(got, []string{"no_such_entity", "no_such_entity"}) {
			t.Errorf("answers %q", got)
		}
		if !broken.sink.closed || broken.Receive(nil) != ErrClosed {
			t.Error("the client is not closed")
		}
		if got := read(x.relay, &x.relay.groups); !slices.Equal(got, []string{"+room/1", "-room/1"}) {
			t.Errorf("groups %q", got)
		}
	})
}

// Closing a client while its Writer waits ends everything once the writer is closed.
func TestCloseWhileWriting(t *testing.T) {
	bubble(t, nil, func(x *fixture) {
		slow, p := x.connect(x.json), x.connect(x.json)
		slow.change(func() { slow.room = 10 })
		p.send(toPeer(slow, "a", "1"), toPeer(slow, "b", "2"))
		synctest.Wait()
		p.send(toPeer(slow, "c", "3")) // behind what the Writer has now
		synctest.Wait()
		slow.Client.Close(nil)
		synctest.Wait()
		if got := codes(p.take()); len(got) == 0 {
			t.Error("nothing failed at once")
		}
		slow.sink.Close()
		synctest.Wait()
		p.take()
		p.send(toPeer(slow, "d", "4"))
		synctest.Wait()
		if got := codes(p.take()); !slices.Equal(got, []string{"no_such_entity"}) {
			t.Errorf("answers %q", got)
		}
	})
}

func TestSend(t *testing.T) {
	bubble(t, small, func(x *fixture) {
		p := x.connect(x.json)
		if err := p.Send([]byte("raw")); err != nil {
			t.Error(err)
		}
		p.expect("raw")
		p.change(func() { p.room = 0 })
		var err error
		for range 20 {
			if err = p.Send(make([]byte, 100)); err != nil {
				break
			}
		}
		if err == nil || codeOf(err) != shared.CodeOverloaded {
			t.Errorf("full queue: %v", err)
		}
	})
}

// An author reads why the framing refused the message, not only that it did.
func TestSendSaysWhatFrameSays(t *testing.T) {
	bubble(t, nil, func(x *fixture) {
		for _, cfg := range []EndpointConfig{
			{Frame: func(dst, _ []byte) ([]byte, error) {
				return dst, shared.Errorf(shared.CodeTooLarge, "seven is the most")
			}},
			{Frame: func(dst, _ []byte) ([]byte, error) { return dst, errors.New("seven is the most") }},
			{MaxFrame: 7},
		} {
			err := x.connect(x.endpoint(cfg)).Send([]byte("too long"))
			if e, ok := errors.AsType[*shared.Error](err); !ok || !strings.Contains(e.Text, "seven is the most") && !strings.Contains(e.Text, "carries 7") {
				t.Errorf("got %v", err)
			}
		}
	})
}

// What is still open after 4 s is reported as timeout, once, and what ends later
// changes nothing.
func TestPartialReport(t *testing.T) {
	bubble(t, nil, func(x *fixture) {
		slow, fast := x.connect(x.json), x.connect(x.json)
		for _, p := range []*peer{slow, fast} {
			p.send(`{"type":"join","entity":"room","entity_id":1}`)
		}
		synctest.Wait()
		slow.change(func() { slow.room = 0 })
		x.relay.do(func() {
			x.OnMessage(&wire.Message{Token: 99, Kind: wire.KindGroup, Entity: []byte("room"), EntityID: 1, Process: wire.AnyProcess,
				FromKind: wire.KindService, FromID: 5, Format: shared.FormatJSON, Value: []byte("1")})
		})
		synctest.Wait()
		if len(read(x.relay, &x.relay.results)) != 0 {
			t.Fatal("reported too early")
		}
		time.Sleep(reportAfter + tickEvery) // synctest
		slow.open()
		synctest.Wait()
		if len(read(x.relay, &x.relay.results)) != 1 {
			t.Fatalf("%d results", len(read(x.relay, &x.relay.results)))
		}
		r := read(x.relay, &x.relay.results)[0]
		if r.Token != 99 || r.Delivered != 1 || len(r.Failures()) != 1 || r.Failures()[0] != (wire.Failure{Code: shared.CodeTimeout, Count: 1}) {
			t.Errorf("result %+v", r)
		}
	})
}
