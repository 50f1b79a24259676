package hub

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/antano/antano/shared"
)

// Many clients that send, join, stall and close at once: every message reaches a
// client at most once and in order, every id gets exactly one answer, and nothing
// stays counted.
func TestStress(t *testing.T) {
	x := newFixture(t, func(cfg *Config) {
		cfg.Params.Limits.ClientQueueBytes = 50_000
		cfg.PushBack = 20 * time.Millisecond
		cfg.Handler = func(ctx context.Context, m *shared.Message) (any, error) { return m.Value, nil }
	})
	const peers, messages = 16, 300
	all := make([]*peer, peers)
	for i := range all {
		all[i] = x.connect(x.json)
	}
	var wg sync.WaitGroup
	for i, p := range all {
		wg.Go(func() { chatter(p, all, i, messages) })
	}
	wg.Wait()
	for _, p := range all {
		p.open()
	}
	x.Drain(context.Background())
	for i, p := range all {
		checkStress(t, i, p, messages)
	}
	x.close()
}

func chatter(p *peer, all []*peer, me, messages int) {
	r := rand.New(rand.NewPCG(1, uint64(me)))
	p.send(`{"type":"join","entity":"room","entity_id":1}`)
	for n := range messages {
		body := fmt.Sprintf(`"message":{"by":%d,"n":%d},"id":%d`, me, n, n)
		switch k := r.IntN(10); {
		case k < 5:
			p.send(fmt.Sprintf(`{"entity":"client","entity_id":%d,%s}`, uint64(all[r.IntN(len(all))].ID()), body))
		case k < 8:
			p.send(`{"entity":"room","entity_id":1,` + body + `}`)
		case k < 9:
			p.send(`{"entity":"service","entity_id":2,` + body + `}`)
		default:
			p.send(fmt.Sprintf(`{"type":"ping","id":%d}`, n))
		}
		if r.IntN(40) == 0 { // stall, and let some bytes through later
			p.change(func() { p.room = r.IntN(300) })
		}
		if r.IntN(10) == 0 {
			p.open()
		}
	}
	p.open()
}

func checkStress(t *testing.T, me int, p *peer, messages int) {
	t.Helper()
	answers := map[int]int{}
	last := map[string]int{}
	for _, line := range p.take() {
		var m struct {
			Type    string
			ID      *int
			Entity  string
			From    json.RawMessage
			Message struct{ By, N int }
		}
		if err := json.Unmarshal([]byte(line), &m); err != nil {
			t.Fatalf("client got %q: %v", line, err)
		}
		switch {
		case m.Type == "message":
			key := fmt.Sprint(m.Entity, string(m.From), m.Message.By)
			if before, ok := last[key]; ok && before >= m.Message.N {
				t.Errorf("client %d: %s number %d came after %d", me, key, m.Message.N, before)
			}
			last[key] = m.Message.N
		case m.ID != nil:
			answers[*m.ID]++
		}
	}
	for n := range messages {
		if answers[n] != 1 {
			t.Errorf("client %d: message %d got %d answers", me, n, answers[n])
		}
	}
}

// Whatever a client sends, it gets at most one answer, and that is JSON. The parsers
// are fuzzed in package format; here it is what is done with what they let through.
func TestReceiveRubbish(t *testing.T) {
	seeds := []string{`{"type":"ping","id":1}`, `{"type":"join","entity":"room","entity_id":1}`, `{"entity":"client","entity_id":-1,"message":1}`,
		`{"entity":"service","entity_id":2,"process_id":3,"message":{},"id":"\u0000"}`, `{"message":1}`, "\xff", `{"type":"whoami","id":9223372036854775807}`}
	r := rand.New(rand.NewPCG(1, 2))
	bubble(t, nil, func(x *fixture) {
		for range 5000 {
			payload := mutate(r, seeds)
			p := x.connect(x.json)
			p.send(string(payload))
			synctest.Wait()
			got := p.take()
			if len(got) > 1 {
				t.Errorf("%d answers to %q: %q", len(got), payload, got)
			}
			for _, m := range got {
				if !json.Valid([]byte(m)) {
					t.Errorf("answer %q to %q", m, payload)
				}
			}
			p.Client.Close(nil)
		}
	})
}

// mutate changes a few bytes of a seed, or puts a piece of another one in.
func mutate(r *rand.Rand, seeds []string) []byte {
	b := []byte(seeds[r.IntN(len(seeds))])
	for range r.IntN(4) {
		at := r.IntN(len(b))
		switch r.IntN(3) {
		case 0:
			b[at] = byte(r.IntN(256))
		case 1:
			b = append(b[:at], b[min(at+1+r.IntN(4), len(b)-1):]...)
		default:
			other := seeds[r.IntN(len(seeds))]
			b = slices.Insert(b, at, []byte(other[r.IntN(len(other)):])...)
		}
	}
	return b
}
