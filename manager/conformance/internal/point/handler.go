package point

import (
	"errors"
	"fmt"

	"github.com/antano/antano/manager/conformance/internal/client"
	"github.com/antano/antano/shared"
	"github.com/antano/antano/shared/wire"
)

// toService is a message of a client elsewhere to the plugin's own service.
func (t *trial) toService(token uint64, id string) *wire.Message {
	m := to(0, token, string(t.Message))
	m.Kind, m.EntityID, m.ID = wire.KindService, t.Params.ID, []byte(id)
	return m
}

// handler sends one message to service/<id>.
func handler(t *trial) (string, error) {
	_, p, err := t.serve(nil)
	if err != nil {
		return "", err
	}
	const token = 42
	if err := p.Link.Deliver(t.toService(token, `"ask"`)); err != nil {
		return "", err
	}
	res, err := p.Link.Result(t.ctx, token)
	if err != nil {
		return "", err
	}
	if !t.Description.Handler {
		return "it has no handler, and the message failed as unsupported", failedAs(res, shared.CodeUnsupported)
	}
	if failedAs(res, shared.CodeUnsupported) == nil {
		return "", fmt.Errorf("it says handler true, but %s to its service is unsupported; answer it, or say handler false (another value: --message)", t.Message)
	}
	if err := delivered(res, 1); err != nil && (res.Delivered != 0 || len(res.Failures()) != 1 || res.Failures()[0].Count != 1) {
		return "", err
	}
	f, answered := wire.Frame{}, p.Link.Seen(isMessage)
	if !answered {
		return fmt.Sprintf("the handler returned: %s, without a response", shown(res)), nil
	}
	if f, err = p.Link.Take(t.ctx, "the response", isMessage); err != nil {
		return "", err
	}
	return fmt.Sprintf("the handler returned: %s, with a response", shown(res)), t.checkResponse(f, `"ask"`)
}

// checkResponse holds what a handler sent back against what it was asked.
func (t *trial) checkResponse(f wire.Frame, id string) error {
	var m wire.Message
	if err := m.Parse(f.Body); err != nil {
		return err
	}
	switch {
	case m.Kind != wire.KindClient || m.EntityID != int64(elsewhere):
		return fmt.Errorf("the response goes to entity %d of kind %d, not to the client that asked", m.EntityID, m.Kind)
	case m.FromKind != wire.KindService || m.FromID != t.Params.ID:
		return fmt.Errorf("the response comes from id %d of kind %d, not from service %d", m.FromID, m.FromKind, t.Params.ID)
	case m.Flags&wire.FlagReply == 0 || string(m.ID) != id:
		return fmt.Errorf("the response has flags %#x and id %s; it needs the flag reply and the id that it answers, %s", m.Flags, m.ID, id)
	}
	return nil
}

// handlerLoad sends more than a handler's queue has to hold.
func handlerLoad(t *trial) (string, error) {
	_, p, err := t.serve(func(s *shared.ServiceParams) { s.Limits.ClientQueueBytes = max(64<<10, s.Limits.MaxMessageBytes) })
	if err != nil {
		return "", err
	}
	const n, first = 1000, 10_000
	if err := p.Link.Send(func(dst []byte) []byte {
		for i := range uint64(n) {
			dst = wire.AppendMessage(dst, t.toService(first+i, fmt.Sprint(i)))
		}
		return dst
	}); err != nil {
		return "", err
	}
	seen := map[uint64]bool{}
	for range n {
		res, err := p.Link.AnyResult(t.ctx)
		if err != nil {
			return "", fmt.Errorf("%d of %d messages to the handler were answered: %w", len(seen), n, err)
		}
		if res.Token < first || res.Token >= first+n || seen[res.Token] {
			return "", fmt.Errorf("a result has token %d, which was not given or is answered already", res.Token)
		}
		seen[res.Token] = true
		if delivered(res, 1) != nil && (res.Delivered != 0 || len(res.Failures()) != 1) {
			return "", fmt.Errorf("a message to a handler is one copy; its result is %s", shown(res))
		}
	}
	return fmt.Sprintf("%d messages had %d results", n, n), t.responsesInOrder(p.Link.Seen, func() (wire.Frame, error) {
		return p.Link.Take(t.ctx, "a response", isMessage)
	})
}

// responsesInOrder looks at the ids that responses answer, which count up.
func (t *trial) responsesInOrder(seen func(func(wire.Frame) bool) bool, take func() (wire.Frame, error)) error {
	for last := int64(-1); seen(isMessage); {
		f, err := take()
		if err != nil {
			return err
		}
		var m wire.Message
		if err := m.Parse(f.Body); err != nil {
			return err
		}
		i := (client.Object{"id": m.ID}).Int("id")
		if i <= last {
			return errors.New("the responses to one sender are out of order: calls for one sender are made one after the other")
		}
		last = i
	}
	return nil
}
