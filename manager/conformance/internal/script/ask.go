package script

import (
	"context"
	"fmt"

	"github.com/antano/antano/shared"
	"github.com/antano/antano/shared/wire"
)

// Of is right for frames of one type.
func Of(t wire.Type) func(wire.Frame) bool { return func(f wire.Frame) bool { return f.Type == t } }

// Health asks the process how it is and waits for the answer to that question: empty
// when all is well.
func (l *Link) Health(ctx context.Context, number uint64) (failing string, err error) {
	if err := l.Send(func(dst []byte) []byte { return wire.AppendHealth(dst, number) }); err != nil {
		return "", err
	}
	var h wire.HealthOK
	_, err = l.Take(ctx, fmt.Sprintf("health ok with number %d", number), func(f wire.Frame) bool {
		return f.Type == wire.TypeHealthOK && h.Parse(f.Body) == nil && h.Nonce == number
	})
	return string(h.Failing), err
}

// Slots tells the process which slots to read, and waits until it says that it does.
func (l *Link) Slots(ctx context.Context, slots uint64) error {
	if err := l.Send(func(dst []byte) []byte { return wire.AppendSlots(dst, wire.TypeSlots, slots) }); err != nil {
		return err
	}
	_, err := l.Take(ctx, fmt.Sprintf("slots ok with %#x", slots), func(f wire.Frame) bool {
		got, err := wire.ParseU64(f.Body)
		return f.Type == wire.TypeSlotsOK && err == nil && got == slots
	})
	return err
}

// Deliver sends a message to the process.
func (l *Link) Deliver(m *wire.Message) error {
	return l.Send(func(dst []byte) []byte { return wire.AppendMessage(dst, m) })
}

// Message waits for the next message of the plugin.
func (l *Link) Message(ctx context.Context) (*wire.Message, error) {
	f, err := l.Take(ctx, "a message on the relay link", Of(wire.TypeMessage))
	if err != nil {
		return nil, err
	}
	m := new(wire.Message)
	return m, m.Parse(f.Body)
}

// Answer says what became of a message of the plugin: delivered, or failed with a
// code.
func (l *Link) Answer(token uint64, delivered uint32, failed ...shared.Code) error {
	r := wire.Result{Token: token, Delivered: delivered}
	for _, code := range failed {
		r.Fail(code, 1)
	}
	return l.Send(func(dst []byte) []byte { return wire.AppendResult(dst, &r) })
}

// Result waits for what the plugin says of the message with a token.
func (l *Link) Result(ctx context.Context, token uint64) (*wire.Result, error) {
	r := new(wire.Result)
	_, err := l.Take(ctx, fmt.Sprintf("the result with token %d", token), func(f wire.Frame) bool {
		return f.Type == wire.TypeResult && r.Parse(f.Body) == nil && r.Token == token
	})
	return r, err
}

// AnyResult waits for the next result of whatever token.
func (l *Link) AnyResult(ctx context.Context) (*wire.Result, error) {
	f, err := l.Take(ctx, "a result", Of(wire.TypeResult))
	if err != nil {
		return nil, err
	}
	r := new(wire.Result)
	return r, r.Parse(f.Body)
}

// Group waits for subscribe or unsubscribe of a group.
func (l *Link) Group(ctx context.Context, t wire.Type, entity string, id int64) (*wire.Group, error) {
	g := new(wire.Group)
	_, err := l.Take(ctx, fmt.Sprintf("%s of %s/%d", t, entity, id), func(f wire.Frame) bool {
		return f.Type == t && g.Parse(f.Body) == nil && string(g.Entity) == entity && g.ID == id
	})
	return g, err
}
