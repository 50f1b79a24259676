package hub

import (
	"errors"

	"github.com/antano/antano/shared"
	"github.com/antano/antano/shared/wire"
)

// send puts a message on the link, waiting as long as w allows for a direct one.
// Otherwise a message to a full queue is `overloaded` at once.
func (h *Hub) send(m *wire.Message, w *wait) shared.Code {
	lane, direct := wire.LaneOf(m.Kind, m.EntityID)
	if !direct {
		return h.queue(m, &wait{})
	}
	if code := h.pauses.acquire(targetOf(m), w); code != shared.CodeNone {
		return code
	}
	size := m.FrameSize()
	if code := h.lanes.acquire(lane, size, w); code != shared.CodeNone {
		return code
	}
	code := h.queue(m, w)
	if code != shared.CodeNone {
		h.lanes.give(lane, size)
	}
	return code
}

func (h *Hub) queue(m *wire.Message, w *wait) shared.Code {
	for {
		err := h.relay.Message(m)
		switch {
		case err == nil:
			return shared.CodeNone
		case !errors.Is(err, wire.ErrFull):
			return shared.CodeShuttingDown // without a link this process stops
		case !w.can || w.on(h.relay.Space()) != waitReady:
			return shared.CodeOverloaded
		}
	}
}

// refuse tells the sender of a message without a token why it went nowhere, if that
// is told without an id at all. It does not wait.
func (h *Hub) refuse(from source, code shared.Code) {
	if from.kind != wire.KindClient || !toldAnyway(code) {
		return
	}
	h.send(&wire.Message{
		Flags: wire.FlagReply | wire.FlagRefused, Kind: from.kind, EntityID: from.id, Process: wire.AnyProcess,
		FromKind: wire.KindService, FromID: h.cfg.Identity.ServiceID, Format: shared.FormatBinary, Value: []byte{byte(code)},
	}, &wait{})
}
