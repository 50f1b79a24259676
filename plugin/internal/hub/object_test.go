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
)

const selfAddress = `"from":{"entity":"client","entity_id":SELF}`

// The rows of docs/message.md, as one client sees them.
func TestMessageObject(t *testing.T) {
	for _, tc := range []struct {
		name string
		send []string
		want []string
	}{
		{"ping", []string{`{"type":"ping"}`}, []string{`{"type":"pong"}`}},
		{"ping with id", []string{`{"type":"ping","id":"a"}`}, []string{`{"type":"pong","id":"a"}`}},
		{"whoami", []string{`{"type":"whoami","id":7}`},
			[]string{`{"type":"client","id":7,"entity":"client","entity_id":SELF,"service_id":2,"process_id":3}`}},
		{"join", []string{`{"type":"join","entity":"room","entity_id":1}`}, []string{`{"type":"joined","entity":"room","entity_id":1}`}},
		{"join twice", []string{`{"type":"join","entity":"room","entity_id":1,"id":1}`, `{"type":"join","entity":"room","entity_id":1,"id":2}`},
			[]string{`{"type":"joined","id":1,"entity":"room","entity_id":1}`, `{"type":"joined","id":2,"entity":"room","entity_id":1}`}},
		{"leave what was not joined", []string{`{"type":"leave","entity":"room","entity_id":1,"id":1}`},
			[]string{`{"type":"left","id":1,"entity":"room","entity_id":1}`}},
		{"to itself", []string{`{"entity":"client","entity_id":SELF,"message":{"a": 1},"id":"x"}`},
			[]string{`{"type":"message","entity":"client","entity_id":SELF,` + selfAddress + `,"message":{"a": 1}}`, `{"type":"receipt","id":"x","delivered":1}`}},
		{"to itself without id", []string{`{"entity":"client","entity_id":SELF,"message":null}`},
			[]string{`{"type":"message","entity":"client","entity_id":SELF,` + selfAddress + `,"message":null}`}},
		{"to a group it joined", []string{`{"type":"join","entity":"room","entity_id":-4}`, `{"type":"message","entity":"room","entity_id":-4,"message":"hi","id":1}`},
			[]string{`{"type":"joined","entity":"room","entity_id":-4}`,
				`{"type":"message","entity":"room","entity_id":-4,` + selfAddress + `,"message":"hi"}`, `{"type":"receipt","id":1,"delivered":1}`}},
		{"leave behind a join, silence without id", []string{`{"type":"join","entity":"room","entity_id":1,"id":1}`, `{"type":"leave","entity":"room","entity_id":1}`, `{"entity":"room","entity_id":1,"message":1}`},
			[]string{`{"type":"joined","id":1,"entity":"room","entity_id":1}`, `{"type":"left","entity":"room","entity_id":1}`}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			bubble(t, nil, func(x *fixture) {
				p := x.connect(x.json)
				p.send(tc.send...)
				p.expect(tc.want...)
			})
		})
	}
}

// Every code that a client can be told, with an id and without.
func TestErrors(t *testing.T) {
	for _, tc := range []struct {
		name, send string
		code       shared.Code
		anyway     bool // told without an id
	}{
		{"unknown type", `{"type":"dance"ID}`, shared.CodeBadMessage, true},
		{"no message", `{"entity":"room","entity_id":1ID}`, shared.CodeBadMessage, true},
		{"no entity_id", `{"entity":"room","message":1ID}`, shared.CodeBadMessage, true},
		{"key twice", `{"type":"ping","type":"ping"ID}`, shared.CodeBadMessage, true},
		{"no destination", `{"message":1ID}`, shared.CodeNoDestination, true},
		{"join client", `{"type":"join","entity":"client","entity_id":1ID}`, shared.CodeDenied, true},
		{"leave service", `{"type":"leave","entity":"service","entity_id":2ID}`, shared.CodeDenied, true},
		{"empty group", `{"entity":"room","entity_id":1,"message":1ID}`, shared.CodeNoSuchEntity, false},
		{"no such client", `{"entity":"client","entity_id":1,"message":1ID}`, shared.CodeNoSuchEntity, false},
		{"no handler", `{"entity":"service","entity_id":2,"message":1ID}`, shared.CodeUnsupported, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			bubble(t, nil, func(x *fixture) {
				p := x.connect(x.json)
				p.send(strings.Replace(tc.send, "ID", `,"id":"q"`, 1))
				synctest.Wait()
				got := p.take()
				if len(got) != 1 || codes(got)[0] != tc.code.String() || !strings.HasPrefix(got[0], `{"type":"error","id":"q",`) {
					t.Errorf("with id: got %q, want one error %s", got, tc.code)
				}
				p.send(strings.Replace(tc.send, "ID", "", 1))
				synctest.Wait()
				var want []string
				if tc.anyway {
					want = []string{tc.code.String()}
				}
				if got = codes(p.take()); !slices.Equal(got, want) {
					t.Errorf("without id: got %q, want %q", got, want)
				}
			})
		})
	}
}

func TestForwardTo(t *testing.T) {
	forward := func(cfg *Config) { cfg.Params.ForwardTo = shared.Address{Entity: "room", ID: 5} }
	bubble(t, forward, func(x *fixture) {
		p := x.connect(x.json)
		p.send(`{"type":"join","entity":"room","entity_id":5}`)
		p.expect(`{"type":"joined","entity":"room","entity_id":5}`)
		p.send(`{"message":"lost?","id":1}`)
		p.expect(`{"type":"message","entity":"room","entity_id":5,`+selfAddress+`,"message":"lost?"}`, `{"type":"receipt","id":1,"delivered":1}`)
	})
}

// Text and binary carry bare payloads and get no answers; a copy of a group is
// converted and framed once for each kind of client.
func TestFormats(t *testing.T) {
	forward := func(cfg *Config) { cfg.Params.ForwardTo = shared.Address{Entity: "room", ID: 1} }
	bubble(t, forward, func(x *fixture) {
		framed := 0
		counting := func(dst, payload []byte) ([]byte, error) { framed++; return append(dst, payload...), nil }
		text := x.endpoint(EndpointConfig{FormatIn: shared.FormatText, FormatOut: shared.FormatText})
		mixed := x.endpoint(EndpointConfig{FormatIn: shared.FormatJSON, FormatOut: shared.FormatText, Frame: counting})
		pack := x.endpoint(EndpointConfig{FormatIn: shared.FormatMsgpack, FormatOut: shared.FormatMsgpack})

		json := x.connect(x.json)
		json.send(`{"type":"join","entity":"room","entity_id":1}`)
		json.expect(`{"type":"joined","entity":"room","entity_id":1}`)
		packed := x.connect(pack)
		packed.send("\x83\xa4type\xa4join\xa6entity\xa4room\xa9entity_id\x01")
		packed.expect("\x83\xa4type\xa6joined\xa6entity\xa4room\xa9entity_id\x01")
		bare := x.connect(text)
		bare.send("héllo")
		from := fmt.Sprint(uint64(bare.ID()))
		json.expect(`{"type":"message","entity":"room","entity_id":1,"from":{"entity":"client","entity_id":` + from + `},"message":"héllo"}`)
		synctest.Wait()
		if got := packed.take(); len(got) != 1 || !strings.HasSuffix(got[0], "\xa7message\xa6héllo") {
			t.Errorf("msgpack client got %q", got)
		}
		bare.send("\xff")
		bare.expect()

		// Three listeners that hear text: framed once.
		for range 3 {
			p := x.connect(mixed)
			x.groups.mu.Lock()
			g := x.groups.get(groupKey{"room", 1})
			g.enter(p.Client)
			x.groups.mu.Unlock()
		}
		framed = 0
		json.send(`{"message":"to all","id":1}`)
		synctest.Wait()
		if framed != 1 {
			t.Errorf("framed %d times for three clients", framed)
		}
		if got := json.take(); !slices.Contains(got, `{"type":"receipt","id":1,"delivered":5}`) {
			t.Errorf("sender got %q", got)
		}
		if n := x.page.Drops(shared.CodeBadMessage); n != 1 {
			t.Errorf("%d messages counted bad_message, want 1", n)
		}
	})
}

// A datagram source that sends rubbish gets at most 100 errors a second back.
func TestDatagramErrors(t *testing.T) {
	bubble(t, nil, func(x *fixture) {
		p := x.connect(x.endpoint(EndpointConfig{Datagram: true}))
		flood := slices.Repeat([]string{"rubbish"}, 150)
		p.send(flood...)
		synctest.Wait()
		if n := len(p.take()); n != 100 {
			t.Errorf("got %d errors in the first second, want 100", n)
		}
		time.Sleep(time.Second) // synctest: the next second
		p.send(flood...)
		synctest.Wait()
		if n := len(p.take()); n != 100 {
			t.Errorf("got %d errors in the next second, want 100", n)
		}
		p.send(`{"type":"dance","id":1}`)
		synctest.Wait()
		if n := len(p.take()); n != 1 {
			t.Errorf("an error with id is limited too")
		}
		if n := x.page.Drops(shared.CodeBadMessage); n != 301 {
			t.Errorf("%d messages counted bad_message, want 301", n)
		}
	})
}

func TestTooLarge(t *testing.T) {
	small := func(cfg *Config) { cfg.Params.Limits.MaxMessageBytes = 200 }
	bubble(t, small, func(x *fixture) {
		tiny := x.connect(x.endpoint(EndpointConfig{MaxFrame: 160}))
		p := x.connect(x.json)
		p.send(`{"type":"ping","x":"` + strings.Repeat("x", 200) + `"}`)
		synctest.Wait()
		if got := codes(p.take()); !slices.Equal(got, []string{"too_large"}) {
			t.Errorf("over max_message_bytes: %q", got)
		}
		for _, id := range []string{"", `,"id":1`} { // what the destination's transport cannot carry
			p.send(fmt.Sprintf(`{"entity":"client","entity_id":%d,"message":"%s"%s}`, uint64(tiny.ID()), strings.Repeat("x", 100), id))
			synctest.Wait()
			if got := codes(p.take()); !slices.Equal(got, []string{"too_large"}) {
				t.Errorf("over MaxFrame with id %q: %q", id, got)
			}
		}
		tiny.expect()
	})
}

func TestConnectLimits(t *testing.T) {
	two := func(cfg *Config) { cfg.Params.Limits.MaxClients = 2 }
	bubble(t, two, func(x *fixture) {
		a, _ := x.connect(x.json), x.connect(x.json)
		if _, err := x.json.Connect("third", nil); codeOf(err) != shared.CodeOverloaded {
			t.Errorf("third of two clients: %v", err)
		}
		a.Client.Close(nil)
		a.Client.Close(nil)
		c := x.connect(x.json)
		if a.ID() == c.ID() {
			t.Error("a client id was used twice")
		}
		if err := a.Receive([]byte(`{}`)); err == nil {
			t.Error("a closed client receives")
		}
		x.Drain(context.Background())
		if _, err := x.json.Connect("late", nil); codeOf(err) != shared.CodeShuttingDown {
			t.Errorf("connect while draining: %v", err)
		}
	})
}

// A source that cannot be answered may send, but not join, and is not written to.
func TestNoWriter(t *testing.T) {
	bubble(t, nil, func(x *fixture) {
		mute, err := x.endpoint(EndpointConfig{Datagram: true}).Connect("unbound", nil)
		if err != nil {
			t.Fatal(err)
		}
		p := x.connect(x.json)
		for _, m := range []string{`{"type":"join","entity":"room","entity_id":1,"id":1}`, `{"type":"ping"}`,
			fmt.Sprintf(`{"entity":"client","entity_id":%d,"message":1,"id":1}`, uint64(p.ID()))} {
			if err := mute.Receive([]byte(m)); err != nil {
				t.Fatal(err)
			}
		}
		mute.Flush()
		synctest.Wait()
		if got := p.take(); len(got) != 1 || !strings.Contains(got[0], `"message":1`) {
			t.Errorf("p got %q", got)
		}
		p.send(fmt.Sprintf(`{"entity":"client","entity_id":%d,"message":1,"id":1}`, uint64(mute.ID())))
		synctest.Wait()
		if got := codes(p.take()); !slices.Equal(got, []string{"unsupported"}) {
			t.Errorf("sending to it: %q", got)
		}
		if len(read(x.relay, &x.relay.groups)) != 0 {
			t.Errorf("groups %q", read(x.relay, &x.relay.groups))
		}
	})
}
