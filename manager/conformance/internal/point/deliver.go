package point

import (
	"fmt"

	"github.com/antano/antano/manager/conformance/internal/client"
	"github.com/antano/antano/manager/conformance/internal/rig"
	"github.com/antano/antano/manager/conformance/internal/script"
	"github.com/antano/antano/shared"
	"github.com/antano/antano/shared/wire"
)

// arrives sends a value to a client and looks at both ends.
func (t *trial) arrives(l *script.Link, c peer, token uint64, value string) error {
	if err := l.Deliver(to(c.id, token, value)); err != nil {
		return err
	}
	o, err := c.Receive(t.ctx)
	if err != nil {
		return fmt.Errorf("%s was sent to a client: %w", value, err)
	}
	if err := fromElsewhere(o, "client", int64(c.id), value); err != nil {
		return err
	}
	if token == 0 {
		return nil
	}
	res, err := l.Result(t.ctx, token)
	if err != nil {
		return err
	}
	return delivered(res, 1)
}

// fromElsewhere wants a message of the client elsewhere.
func fromElsewhere(o client.Object, entity string, id int64, value string) error {
	return o.Want("type", "message", "entity", entity, "entity_id", fmt.Sprint(id), "message", value,
		"from", fmt.Sprintf(`{"entity":"client","entity_id":%d}`, elsewhere))
}

func deliver(t *trial) (string, error) {
	_, p, c, err := t.both(nil)
	if err != nil {
		return "", err
	}
	if err := t.arrives(p.Link, c, 1, `{"n":1}`); err != nil {
		return "", err
	}
	reply := to(c.id, 2, `[2]`)
	reply.Flags, reply.ID, reply.FromKind, reply.FromID = wire.FlagReply, []byte(`"q"`), wire.KindService, 55
	if err := p.Link.Deliver(reply); err != nil {
		return "", err
	}
	o, err := c.Receive(t.ctx)
	if err == nil {
		err = o.Want("type", "message", "in_reply_to", "q", "id", "", "message", "[2]", "from", `{"entity":"service","entity_id":55}`)
	}
	if err != nil {
		return "", fmt.Errorf("the response of a service came for a client: %w", err)
	}
	res, err := p.Link.Result(t.ctx, 2)
	if err == nil {
		err = delivered(res, 1)
	}
	if err != nil {
		return "", err
	}
	return "a message and a response reached their client", t.arrives(p.Link, c, 0, `3`)
}

// enter has a client join room/<id>.
func (t *trial) enter(p *rig.Process, c peer, id int64) (*wire.Group, error) {
	o, err := c.Ask(t.ctx, fmt.Sprintf(`{"type":"join","entity":"room","entity_id":%d,"id":"in"}`, id))
	if err == nil {
		err = o.Want("type", "joined", "id", "in")
	}
	if err != nil {
		return nil, err
	}
	return p.Link.Group(t.ctx, wire.TypeSubscribe, "room", id)
}

// toRoom is a message of the client elsewhere to room/<id>.
func toRoom(id int64, token uint64, value string) *wire.Message {
	m := to(0, token, value)
	m.Kind, m.EntityID, m.Entity = wire.KindGroup, id, []byte("room")
	return m
}

func groups(t *trial) (string, error) {
	r, p, a, err := t.both(nil)
	if err != nil {
		return "", err
	}
	b, err := t.join(r)
	if err != nil {
		return "", err
	}
	if _, err := t.enter(p, a, 7); err != nil {
		return "", fmt.Errorf("a client joined a group: %w", err)
	}
	if o, err := b.Ask(t.ctx, `{"type":"join","entity":"room","entity_id":7}`); err != nil || o.Text("type") != "joined" {
		return "", fmt.Errorf("a second client joined a group and got %v, %w", o, err)
	}
	if err := t.everybody(p, 1, a, b); err != nil {
		return "", fmt.Errorf("two clients are in a group: %w", err)
	}
	if o, err := a.Ask(t.ctx, `{"type":"leave","entity":"room","entity_id":7,"id":"out"}`); err != nil || o.Text("type") != "left" {
		return "", fmt.Errorf("a client left a group and got %v, %w", o, err)
	}
	if err := t.everybody(p, 2, b); err != nil {
		return "", fmt.Errorf("one of two clients left a group: %w", err)
	}
	if err := t.silent(a.Client, "it has left the group"); err != nil {
		return "", err
	}
	if p.Link.Seen(script.Of(wire.TypeUnsubscribe)) {
		return "", fmt.Errorf("unsubscribe came while a client is in the group")
	}
	if o, err := b.Ask(t.ctx, `{"type":"leave","entity":"room","entity_id":7}`); err != nil || o.Text("type") != "left" {
		return "", fmt.Errorf("a client left a group and got %v, %w", o, err)
	}
	if _, err := p.Link.Group(t.ctx, wire.TypeUnsubscribe, "room", 7); err != nil {
		return "", fmt.Errorf("the last client left a group: %w", err)
	}
	return "two members got a message each, one when the other had left; subscribe and unsubscribe came once", t.everybody(p, 3)
}

// everybody sends to room/7 and wants exactly these to get it.
func (t *trial) everybody(p *rig.Process, token uint64, members ...peer) error {
	if err := p.Link.Deliver(toRoom(7, token, fmt.Sprint(token))); err != nil {
		return err
	}
	for _, c := range members {
		o, err := c.Receive(t.ctx)
		if err == nil {
			err = fromElsewhere(o, "room", 7, fmt.Sprint(token))
		}
		if err != nil {
			return err
		}
	}
	res, err := p.Link.Result(t.ctx, token)
	if err != nil {
		return err
	}
	return delivered(res, uint32(len(members)))
}

// foreign are values in other formats than JSON, and what they are in it.
var foreign = []struct {
	format shared.FormatID
	value  string
	json   string
}{
	{shared.FormatMsgpack, "\x82\xa1a\xcf\xff\xff\xff\xff\xff\xff\xff\xff\xa1b\x93\xc0\xc3\xff", `{"a":18446744073709551615,"b":[null,true,-1]}`},
	{shared.FormatMsgpack, "\xc4\x02\x00\xff", `{"$b64":"AP8="}`},
	{shared.FormatText, "ü\"\n", `"ü\"\n"`},
	{shared.FormatBinary, "\x00\xff", `{"$b64":"AP8="}`},
}

func convert(t *trial) (string, error) {
	_, p, c, err := t.both(nil)
	if err != nil {
		return "", err
	}
	converted := 0
	for i, v := range foreign {
		m := to(c.id, uint64(i+1), v.value)
		m.Format = v.format
		if err := p.Link.Deliver(m); err != nil {
			return "", err
		}
		res, err := p.Link.Result(t.ctx, uint64(i+1))
		if err != nil {
			return "", err
		}
		if failedAs(res, shared.CodeUnsupported) == nil {
			continue
		}
		if err := delivered(res, 1); err != nil {
			return "", err
		}
		o, err := c.Receive(t.ctx)
		if err == nil {
			err = o.Want("message", v.json)
		}
		if err != nil {
			return "", fmt.Errorf("the %s value %q came for a client: %w", v.format, v.value, err)
		}
		converted++
	}
	return fmt.Sprintf("%d of %d values of other formats were converted, the others were unsupported", converted, len(foreign)), nil
}

// orderIn sends without waiting.
func orderIn(t *trial) (string, error) {
	r, p, c, err := t.both(nil)
	if err != nil {
		return "", err
	}
	n, first := t.burst(r.Datagram()), uint64(1000)
	if err := p.Link.Send(func(dst []byte) []byte {
		for i := range n {
			dst = wire.AppendMessage(dst, to(c.id, first+uint64(i), fmt.Sprint(i)))
		}
		return dst
	}); err != nil {
		return "", err
	}
	for i := range n {
		o, err := c.Receive(t.ctx)
		if err == nil {
			err = o.Want("type", "message", "message", fmt.Sprint(i))
		}
		if err != nil {
			return "", fmt.Errorf("%d messages were sent to a client, the next is %d: %w", n, i, err)
		}
	}
	return fmt.Sprintf("%d messages arrived in order and had a result each", n), t.allDelivered(p.Link, first, n)
}

// allDelivered wants one result for each of n tokens.
func (t *trial) allDelivered(l *script.Link, first uint64, n int) error {
	seen := map[uint64]bool{}
	for range n {
		res, err := l.AnyResult(t.ctx)
		if err != nil {
			return fmt.Errorf("%d of %d messages had a result: %w", len(seen), n, err)
		}
		if res.Token < first || res.Token >= first+uint64(n) || seen[res.Token] {
			return fmt.Errorf("a result has token %d, which was not given or is answered already", res.Token)
		}
		seen[res.Token] = true
		if err := delivered(res, 1); err != nil {
			return err
		}
	}
	return nil
}
