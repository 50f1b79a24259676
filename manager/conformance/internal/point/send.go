package point

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/antano/antano/manager/conformance/internal/rig"
	"github.com/antano/antano/shared"
	"github.com/antano/antano/shared/wire"
)

// value is JSON that a careless plugin changes.
const value = `{"a":[1,2.50,"ü\u0000",9007199254740993],"b":{},"a2":null}`

// send looks at the frames that a client's messages become.
func send(t *trial) (string, error) {
	r, p, c, err := t.both(nil)
	if err != nil {
		return "", err
	}
	want := wire.Message{Kind: wire.KindClient, EntityID: int64(elsewhere), Process: wire.AnyProcess,
		FromKind: wire.KindClient, FromID: int64(c.id), Format: shared.FormatJSON, Value: []byte(value)}
	if !r.Datagram() {
		want.Flags = wire.FlagStream
	}
	for _, s := range []struct {
		object string
		change func(*wire.Message)
		token  bool
	}{
		{fmt.Sprintf(`{"entity":"client","entity_id":%d,"message":%s,"id":"one"}`, elsewhere, value), func(m *wire.Message) { m.ID = []byte(`"one"`) }, true},
		{fmt.Sprintf(`{"type":"message","entity":"client","entity_id":%d,"message":%s}`, elsewhere, value), func(*wire.Message) {}, false},
		{fmt.Sprintf(`{"entity":"service","entity_id":55,"message":%s,"id":2}`, value), func(m *wire.Message) {
			m.Kind, m.EntityID, m.ID = wire.KindService, 55, []byte(`2`)
		}, true},
		{fmt.Sprintf(`{"entity":"room","entity_id":-7,"process_id":5,"message":%s,"id":3,"more":"ignored"}`, value), func(m *wire.Message) {
			m.Kind, m.EntityID, m.Process, m.Entity, m.ID = wire.KindGroup, -7, 5, []byte("room"), []byte(`3`)
		}, true},
	} {
		if err := c.Send(s.object); err != nil {
			return "", err
		}
		got, err := p.Link.Message(t.ctx)
		if err != nil {
			return "", fmt.Errorf("a client sent %s: %w", s.object, err)
		}
		m := want
		s.change(&m)
		if err := differs(got, &m); err != nil {
			return "", fmt.Errorf("a client sent %s; in its frame %w", s.object, err)
		}
		if (got.Token != 0) != s.token {
			return "", fmt.Errorf("a client sent %s; its frame has token %d: it is not 0 exactly if somebody waits for the result", s.object, got.Token)
		}
	}
	return "messages to a client, a service and a group arrived as they were sent", nil
}

// differs names the first field that is not as it should be.
func differs(got, want *wire.Message) error {
	for _, f := range []struct {
		name      string
		got, want any
	}{
		{"the kind of the destination", got.Kind, want.Kind}, {"entity_id", got.EntityID, want.EntityID},
		{"the name of the group", string(got.Entity), string(want.Entity)}, {"process_id", got.Process, want.Process},
		{"the kind of the sender", got.FromKind, want.FromKind}, {"the id of the sender", got.FromID, want.FromID},
		{"the flags", got.Flags, want.Flags}, {"the format", got.Format, want.Format},
		{"the id of the message", string(got.ID), string(want.ID)}, {"the value", string(got.Value), string(want.Value)},
	} {
		if f.got != f.want {
			return fmt.Errorf("%s is %v, not %v", f.name, f.got, f.want)
		}
	}
	return nil
}

// receipts gives each kind of result.
func receipts(t *trial) (string, error) {
	_, p, c, err := t.both(nil)
	if err != nil {
		return "", err
	}
	ask := func(id int, entity string, delivered uint32, failed ...shared.Code) error {
		if err := c.Send(fmt.Sprintf(`{"entity":%q,"entity_id":%d,"message":1,"id":%d}`, entity, elsewhere, id)); err != nil {
			return err
		}
		m, err := p.Link.Message(t.ctx)
		if err != nil {
			return err
		}
		return p.Link.Answer(m.Token, delivered, failed...)
	}
	for _, s := range []struct {
		entity    string
		delivered uint32
		failed    []shared.Code
		want      []string
	}{
		{"client", 1, nil, []string{"type", "receipt", "delivered", "1", "failed", ""}},
		{"room", 3, nil, []string{"type", "receipt", "delivered", "3", "failed", ""}},
		{"room", 2, []shared.Code{shared.CodeOverloaded, shared.CodeProcessLost}, []string{"type", "receipt", "delivered", "2", "failed", `{"overloaded":1,"process_lost":1}`}},
		{"room", 0, nil, []string{"type", "error", "code", "no_such_entity"}},
		{"room", 0, []shared.Code{shared.CodeTimeout}, []string{"type", "error", "code", "timeout"}},
		{"client", 0, []shared.Code{shared.CodeNoSuchEntity}, []string{"type", "error", "code", "no_such_entity"}},
		{"client", 0, []shared.Code{shared.CodeNoSuchProcess}, []string{"type", "error", "code", "no_such_process"}},
		{"client", 0, []shared.Code{shared.CodeTooLarge}, []string{"type", "error", "code", "too_large"}},
		{"client", 0, []shared.Code{shared.CodeDenied}, []string{"type", "error", "code", "denied"}},
		{"service", 0, []shared.Code{shared.CodeUnsupported}, []string{"type", "error", "code", "unsupported"}},
		{"service", 0, []shared.Code{shared.CodeShuttingDown}, []string{"type", "error", "code", "shutting_down"}},
		{"service", 0, []shared.Code{shared.CodeProcessLost}, []string{"type", "error", "code", "process_lost"}},
	} {
		if err := ask(4, s.entity, s.delivered, s.failed...); err != nil {
			return "", err
		}
		o, err := c.Receive(t.ctx)
		if err == nil {
			err = o.Want(append(s.want, "id", "4")...)
		}
		if err != nil {
			return "", fmt.Errorf("a message to %s was %d delivered, %v failed: %w", s.entity, s.delivered, s.failed, err)
		}
	}
	return "twelve results became what a client is told", t.silent(c.Client, "every message was answered")
}

// silence never answers.
func silence(t *trial) (string, error) {
	_, p, c, err := t.both(nil)
	if err != nil {
		return "", err
	}
	began := time.Now()
	if err := c.Send(fmt.Sprintf(`{"entity":"client","entity_id":%d,"message":1,"id":5}`, elsewhere)); err != nil {
		return "", err
	}
	m, err := p.Link.Message(t.ctx)
	if err != nil {
		return "", err
	}
	o, err := c.Receive(t.ctx)
	if err == nil {
		err = o.Want("type", "error", "code", "timeout", "id", "5")
	}
	if err != nil {
		return "", fmt.Errorf("a message got no result from the manager: %w; answer timeout after 4.8 s", err)
	}
	took := time.Since(began).Round(10 * time.Millisecond)
	if err := p.Link.Answer(m.Token, 1); err != nil {
		return "", err
	}
	return fmt.Sprintf("its sender was told timeout after %v", took), t.silent(c.Client, "the result came after the timeout was told")
}

// burst is how many messages the kit sends at once; fewer where the kernel may drop
// them.
func (t *trial) burst(datagram bool) int {
	if datagram {
		return 100
	}
	return 2000
}

// orderOut has a client send without waiting.
func orderOut(t *trial) (string, error) {
	r, p, c, err := t.both(nil)
	if err != nil {
		return "", err
	}
	n := t.burst(r.Datagram())
	sent := make(chan error, 1)
	go func() {
		for i := range n {
			if err := c.Send(fmt.Sprintf(`{"entity":"client","entity_id":%d,"message":%d,"id":%d}`, elsewhere, i, i)); err != nil {
				sent <- err
				return
			}
		}
		sent <- nil
	}()
	for i := range n {
		m, err := p.Link.Message(t.ctx)
		if err != nil {
			return "", fmt.Errorf("message %d of %d: %w", i, n, err)
		}
		if got := string(m.Value); got != fmt.Sprint(i) {
			return "", fmt.Errorf("message %s came where %d was sent; messages of one client to one entity stay in order", got, i)
		}
		if err := p.Link.Answer(m.Token, 1); err != nil {
			return "", err
		}
	}
	if err := <-sent; err != nil {
		return "", err
	}
	seen := map[int64]bool{}
	for range n {
		o, err := c.Receive(t.ctx)
		if err == nil {
			err = o.Want("type", "receipt", "delivered", "1")
		}
		if err != nil {
			return "", fmt.Errorf("%d of %d receipts came: %w", len(seen), n, err)
		}
		if id := o.Int("id"); seen[id] {
			return "", fmt.Errorf("message %d was answered twice", id)
		}
		seen[o.Int("id")] = true
	}
	return fmt.Sprintf("%d messages left in order and had a receipt each", n), nil
}

// window gives no credit back for a while.
func window(t *trial) (string, error) {
	const size, n, credit = 8 << 10, 30, 64 << 10
	_, p, err := t.serve(nil, rig.Credit(credit))
	if err != nil {
		return "", err
	}
	c, err := t.join(t.rigs[0])
	if err != nil {
		return "", err
	}
	p.Link.Hoard(true)
	filler := strings.Repeat("x", size)
	for i := range n {
		if err := c.Send(fmt.Sprintf(`{"entity":"client","entity_id":%d,"message":"%s","id":%d}`, elsewhere, filler, i)); err != nil {
			return "", err
		}
	}
	outstanding, refused, err := t.outcome(p, c, n)
	if err != nil {
		return "", fmt.Errorf("%d messages of %d bytes were sent through a window of %d, and no credit came back: %w", n, size, credit, err)
	}
	if outstanding > credit {
		return "", fmt.Errorf("%d bytes of one lane are under way, its window is %d; wait for credit, or drop as overloaded", outstanding, credit)
	}
	p.Link.Hoard(false)
	lane, _ := wire.LaneOf(wire.KindClient, int64(elsewhere))
	back := wire.Credit{Lane: lane, Bytes: uint32(outstanding)}
	if err := p.Link.Send(func(dst []byte) []byte { return wire.AppendCredit(dst, &back) }); err != nil {
		return "", err
	}
	if _, err := p.Link.Health(t.ctx, 1); err != nil { // the credit was read
		return "", err
	}
	if err := c.Send(fmt.Sprintf(`{"entity":"client","entity_id":%d,"message":"after","id":99}`, elsewhere)); err != nil {
		return "", err
	}
	if _, err := p.Link.Message(t.ctx); err != nil {
		return "", fmt.Errorf("after credit for all of the window: %w", err)
	}
	return fmt.Sprintf("%d bytes were under way in a window of %d, %d messages were overloaded, and credit opened it again", outstanding, credit, refused), nil
}

// outcome waits until each of n messages has been put on the link or was told to be
// overloaded.
func (t *trial) outcome(p *rig.Process, c peer, n int) (outstanding, refused int, err error) {
	for sent := 0; sent+refused < n; {
		for p.Link.Seen(isMessage) {
			f, err := p.Link.Take(t.ctx, "a message", isMessage)
			if err != nil {
				return 0, 0, err
			}
			outstanding += len(f.Raw)
			sent++
		}
		ctx, cancel := t.within(quiet)
		o, err := c.Receive(ctx)
		cancel()
		switch {
		case t.ctx.Err() != nil:
			return 0, 0, fmt.Errorf("%d were sent, %d were told to be overloaded, and nothing is said of the rest: %w", sent, refused, context.Cause(t.ctx))
		case err != nil || o.Text("code") == "timeout": // one of those that were sent
		case o.Text("code") == "overloaded":
			refused++
		default:
			return 0, 0, o.Want("type", "error", "code", "overloaded")
		}
	}
	return outstanding, refused, nil
}

// pause tells it that a client elsewhere is full.
func pause(t *trial) (string, error) {
	r, p, c, err := t.both(nil)
	if err != nil {
		return "", err
	}
	full := wire.Pause{Client: elsewhere, Process: farProcess, Budget: 60_000}
	if err := p.Link.Send(func(dst []byte) []byte { return wire.AppendPause(dst, wire.TypePause, &full) }); err != nil {
		return "", err
	}
	if _, err := p.Link.Health(t.ctx, 1); err != nil { // the pause was read
		return "", err
	}
	if err := c.Send(fmt.Sprintf(`{"entity":"client","entity_id":%d,"message":"paused","id":1}`, elsewhere)); err != nil {
		return "", err
	}
	if r.Datagram() {
		o, err := c.Receive(t.ctx)
		if err == nil {
			err = o.Want("type", "error", "code", "overloaded", "id", "1")
		}
		return "a datagram for a paused client was overloaded at once", err
	}
	other, err := t.join(r)
	if err != nil {
		return "", err
	}
	if err := other.Send(`{"entity":"room","entity_id":1,"message":"others go on"}`); err != nil {
		return "", err
	}
	m, err := p.Link.Message(t.ctx)
	if err != nil {
		return "", fmt.Errorf("while one client elsewhere is paused, another client sent to a group: %w", err)
	}
	if m.Kind == wire.KindClient {
		return "", errors.New("a message was sent to a client for which pause had come; its source waits")
	}
	if err := t.wait(quiet); err != nil {
		return "", err
	}
	if p.Link.Seen(isMessage) {
		return "", errors.New("a message was sent to a client for which pause had come; its source waits")
	}
	full.Budget = 0
	if err := p.Link.Send(func(dst []byte) []byte { return wire.AppendPause(dst, wire.TypeResume, &full) }); err != nil {
		return "", err
	}
	for !p.Link.Seen(isMessage) {
		ctx, cancel := t.within(quiet)
		o, err := c.Receive(ctx)
		cancel()
		switch {
		case err == nil && o.Text("code") == "overloaded": // the kit took longer than push_back
			return "its source waited as long as it is held back, and others did not", nil
		case err == nil:
			return "", fmt.Errorf("a message waits for resume, and its source got %.200s", o)
		case t.ctx.Err() != nil:
			return "", fmt.Errorf("after resume the message that waited did not come: %w", err)
		}
	}
	return "its source waited until resume, and others did not", nil
}
