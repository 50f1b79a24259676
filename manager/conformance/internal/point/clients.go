package point

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/antano/antano/manager/conformance/internal/client"
	"github.com/antano/antano/manager/conformance/internal/rig"
	"github.com/antano/antano/manager/internal/launch"
	"github.com/antano/antano/shared"
)

// probe has a client ask for an answer that needs nobody else.
func probe(t *trial) (string, error) {
	in, out := t.Params.MessageFormatIn, t.Params.MessageFormatOut
	if in != shared.FormatJSON || out != shared.FormatJSON {
		return "", skipf("the kit's clients speak JSON, its messages are %s in and %s out", in, out)
	}
	r, _, err := t.serve(nil)
	if err != nil {
		return "", err
	}
	c, err := t.connect(r)
	if err != nil {
		return "", err
	}
	o, err := c.Ask(t.ctx, `{"type":"ping","id":1}`)
	switch {
	case t.Client == "" && (errors.Is(err, client.ErrForeign) || errors.Is(err, client.ErrEnded)):
		return "", skipf("its clients speak a protocol of their own (%v); give a client with --client", err)
	case err != nil:
		return "", fmt.Errorf("%w; if its clients speak a protocol of their own, give a client with --client, or --client none", err)
	}
	return "a ping was answered with a pong", o.Want("type", "pong", "id", "1")
}

// clientIDs looks at the ids of a few clients.
func clientIDs(t *trial) (string, error) {
	r, p, err := t.serve(nil)
	if err != nil {
		return "", err
	}
	const n = 5
	var ids []shared.ClientID
	for range n {
		c, err := t.connect(r)
		if err != nil {
			return "", err
		}
		o, err := c.Ask(t.ctx, `{"type":"whoami","id":"me"}`)
		if err != nil {
			return "", err
		}
		if err := o.Want("type", "client", "id", "me", "service_id", fmt.Sprint(t.Params.ID), "process_id", fmt.Sprint(rig.ProcessID)); err != nil {
			return "", err
		}
		id := shared.ClientID(o.Int("entity_id"))
		if err := checkID(id, p); err != nil {
			return "", err
		}
		ids = append(ids, id)
	}
	slices.Sort(ids)
	if len(slices.Compact(ids)) != n {
		return "", fmt.Errorf("%d clients have %d ids; use each sequence once", n, len(slices.Compact(ids)))
	}
	return fmt.Sprintf("%d clients have %d ids of the range granted", n, n), nil
}

func checkID(id shared.ClientID, p *rig.Process) error {
	switch {
	case !id.Valid() || id.Server() != rig.ServerID || id.Process() != rig.ProcessID:
		return fmt.Errorf("a client has id %d: server %d, process %d; it should be server id << 45 | process id << 32 | sequence, with %d and %d",
			id, id.Server(), id.Process(), rig.ServerID, rig.ProcessID)
	case !p.Link.Granted(id.Sequence()):
		return fmt.Errorf("a client has sequence %d, which was not granted", id.Sequence())
	}
	return nil
}

// sequences grants few at a time.
func sequences(t *trial) (string, error) {
	const grant, n = 8, 30
	r, p, err := t.serve(nil, rig.Grant(grant))
	if err != nil {
		return "", err
	}
	seen := map[shared.ClientID]bool{}
	for i := range n {
		c, err := t.join(r)
		if err != nil {
			return "", fmt.Errorf("client %d, with %d sequences granted at a time: %w; ask for more when half of them are used", i+1, grant, err)
		}
		if err := checkID(c.id, p); err != nil {
			return "", err
		}
		if seen[c.id] {
			return "", fmt.Errorf("id %d was given twice", c.id)
		}
		seen[c.id] = true
		if _, err := p.Link.Health(t.ctx, uint64(i)); err != nil { // so that a grant under way is read soon
			return "", err
		}
	}
	return fmt.Sprintf("%d clients had ids, granted %d at a time", n, grant), nil
}

// sharePage holds the row of the process against what happened.
func sharePage(t *trial) (string, error) {
	r, p, err := t.serve(nil)
	if err != nil {
		return "", err
	}
	for range 2 {
		if _, err := t.join(r); err != nil {
			return "", err
		}
	}
	for {
		serving, n, in, out := p.Row()
		if serving && n == 2 && in == 2 && out == 2 {
			return "its row says that it serves, 2 clients, 2 messages in and 2 out", nil
		}
		if err := t.wait(quiet / 10); err != nil {
			return "", fmt.Errorf("row %d of the share page says serving %t, %d clients, %d messages in, %d out; it should be true, 2, 2, 2: %w",
				p.Request().ShareRow, serving, n, in, out, err)
		}
	}
}

// kick lists clients and ends one.
func kick(t *trial) (string, error) {
	r, p, first, err := t.both(nil)
	if err != nil {
		return "", err
	}
	second, err := t.join(r)
	if err != nil {
		return "", err
	}
	if err := t.listed(p, first.id, second.id); err != nil {
		return "", err
	}
	if found, err := p.Kick(t.ctx, shared.NewClientID(rig.ServerID, farProcess, 1)); err != nil || found {
		return "", fmt.Errorf("kick of a client that is not there: found %t, %w", found, err)
	}
	found, err := p.Kick(t.ctx, first.id)
	if err != nil || !found {
		return "", errors.Join(fmt.Errorf("kick of client %d, which is connected: found %t", first.id, found), err)
	}
	if t.lacks(streams) == "" {
		if o, err := first.Receive(t.ctx); !errors.Is(err, client.ErrEnded) {
			return "", fmt.Errorf("a kicked client got %v, %w; its connection should have ended", o, err)
		}
	}
	if _, err := second.Ask(t.ctx, `{"type":"ping","id":1}`); err != nil {
		return "", fmt.Errorf("after another client was kicked: %w", err)
	}
	for {
		if err = t.listed(p, second.id); err == nil {
			return "both clients were listed; the kicked one is gone", nil
		}
		if slow := t.wait(quiet / 10); slow != nil {
			return "", fmt.Errorf("after a kick: %w: %w", err, slow)
		}
	}
}

// listed wants exactly these clients.
func (t *trial) listed(p *rig.Process, ids ...shared.ClientID) error {
	var rows []launch.Client
	if err := p.Clients(t.ctx, func(c launch.Client) { rows = append(rows, c) }); err != nil {
		return err
	}
	var got []string
	for _, row := range rows {
		got = append(got, fmt.Sprint(row.ID))
		if row.Address == "" {
			return fmt.Errorf("the answer to Clients has %d without an address", row.ID)
		}
	}
	for _, id := range ids {
		if !slices.Contains(got, fmt.Sprint(id)) || len(got) != len(ids) {
			return fmt.Errorf("the answer to Clients has %s; connected are %v", strings.Join(got, ", "), ids)
		}
	}
	return nil
}

// ill is what a client must not say, and what it is told.
var ill = []struct{ message, code, id string }{
	{`{"type":`, "bad_message", ""},
	{`[1, 2]`, "bad_message", ""},
	{`{"type":"nonsense","id":1}`, "bad_message", "1"},
	{`{"entity":"room","message":1,"id":2}`, "bad_message", "2"},
	{`{"entity":"room","entity_id":1,"id":3}`, "bad_message", "3"},
	{`{"message":1,"id":4}`, "no_destination", "4"},
	{`{"type":"join","entity":"client","entity_id":1,"id":5}`, "denied", "5"},
}

func badMessage(t *trial) (string, error) {
	_, _, c, err := t.both(nil)
	if err != nil {
		return "", err
	}
	for _, m := range ill {
		o, err := c.Ask(t.ctx, m.message)
		if err == nil {
			err = o.Want("type", "error", "code", m.code, "id", m.id)
		}
		if err != nil {
			return "", fmt.Errorf("a client said %s: %w", m.message, err)
		}
		if o.Text("error") == "" {
			return "", fmt.Errorf("a client said %s and got an error without a sentence: %s", m.message, o)
		}
	}
	if o, err := c.Ask(t.ctx, `{"type":"ping","id":9}`); err != nil || o.Text("type") != "pong" {
		return "", fmt.Errorf("after bad messages a ping got %v, %w", o, err)
	}
	return fmt.Sprintf("%d bad messages were answered, and the client lived on", len(ill)), nil
}

func tooLarge(t *trial) (string, error) {
	const limit = 4096
	_, _, c, err := t.both(func(s *shared.ServiceParams) { s.Limits.MaxMessageBytes = limit })
	if err != nil {
		return "", err
	}
	o, err := c.Ask(t.ctx, `{"entity":"room","entity_id":1,"message":"`+strings.Repeat("x", 2*limit)+`"}`)
	if err == nil {
		err = o.Want("type", "error", "code", "too_large")
	}
	if err != nil {
		return "", fmt.Errorf("a message of twice max_message_bytes: %w", err)
	}
	if o, err := c.Ask(t.ctx, `{"type":"ping","id":9}`); err != nil || o.Text("type") != "pong" {
		return "", fmt.Errorf("after a message that was too large a ping got %v, %w", o, err)
	}
	return "it was answered and skipped, and the client lived on", nil
}
