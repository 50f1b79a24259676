package hub

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/antano/antano/plugin/format"
	"github.com/antano/antano/shared"
	"github.com/antano/antano/shared/wire"
)

// PassThroughMessage sends message to an entity on behalf of the service and waits
// for what becomes of it, at most 4.8 s.
func (h *Hub) PassThroughMessage(ctx context.Context, to shared.Address, processID int, message any) (shared.Receipt, error) {
	m, err := h.passMessage(to, processID, message)
	if err != nil {
		return shared.Receipt{}, err
	}
	result := make(chan wire.Result, 1)
	token, ok := h.pending.add(pending{wait: result}, time.Now())
	if !ok {
		return shared.Receipt{}, sentence(shared.CodeOverloaded)
	}
	h.clock.arm()
	defer h.pending.take(token) // if nobody waits any more
	m.Token = token
	if code := h.send(m, h.serviceWait(ctx)); code != shared.CodeNone {
		h.page.Drop(code, 1)
		return shared.Receipt{}, sentence(code)
	}
	h.relay.Flush()
	select {
	case r := <-result:
		if r.Delivered == 0 {
			return shared.Receipt{}, worst(&r)
		}
		return receiptOf(&r), nil
	case <-ctx.Done():
		return shared.Receipt{}, fmt.Errorf("pass message to %s: %w", to, ctx.Err())
	case <-h.ctx.Done():
		return shared.Receipt{}, sentence(shared.CodeTimeout)
	}
}

func (h *Hub) passMessage(to shared.Address, processID int, message any) (*wire.Message, error) {
	var value []byte
	switch v := message.(type) {
	case []byte:
		value = v
	case json.RawMessage:
		value = v
	default:
		var err error
		if value, err = format.Encode(message); err != nil {
			return nil, shared.Errorf(shared.CodeBadMessage, "pass message to %s: %v", to, err)
		}
	}
	switch {
	case len(to.Entity) == 0 || len(to.Entity) > shared.MaxEntityName:
		return nil, shared.Errorf(shared.CodeNoDestination, "entity has %d bytes; name one of 1 to %d", len(to.Entity), shared.MaxEntityName)
	case processID != shared.AnyProcess && (processID < 0 || processID > shared.MaxProcessID):
		return nil, shared.Errorf(shared.CodeNoSuchProcess, "process_id %d is not 0 to %d; use one that status shows", processID, shared.MaxProcessID)
	case len(value) > shared.MaxMessageBytes:
		return nil, shared.Errorf(shared.CodeTooLarge, "the message has %d bytes; send at most %d", len(value), shared.MaxMessageBytes)
	}
	if err := format.Check(shared.FormatJSON, value); err != nil {
		return nil, shared.Errorf(shared.CodeBadMessage, "pass message to %s: %v", to, err)
	}
	m := &wire.Message{
		Flags: wire.FlagStream, Kind: wire.KindOf(to.Entity), EntityID: to.ID, Process: processOf(processID),
		FromKind: wire.KindService, FromID: h.cfg.Identity.ServiceID, Format: shared.FormatJSON, Value: value,
	}
	if m.Kind == wire.KindGroup {
		m.Entity = []byte(to.Entity)
	}
	return m, nil
}
