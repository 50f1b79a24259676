package serve

import (
	"context"
	"fmt"
	"runtime/debug"

	"github.com/antano/antano/plugin/internal/hub"
)

// recovered is deferred around calls of the author's code that are not for a client: a
// panic is logged with its stack, counted, and becomes err.
func (p *Process) recovered(where string, err *error) {
	v := recover()
	if v == nil {
		return
	}
	p.log.Error(where+" panicked", "panic", fmt.Sprint(v), "stack", string(debug.Stack()))
	if h := p.current.Load(); h != nil {
		h.Count(hub.Panics, 1)
	}
	*err = fmt.Errorf("%s panicked: %v", where, v)
}

func (p *Process) callStart(ctx context.Context) (err error) {
	defer p.recovered("Start", &err)
	return p.service.Start(ctx, p.hub, p.inherited.Sockets)
}

func (p *Process) callDrain(ctx context.Context) (err error) {
	defer p.recovered("Drain", &err)
	return p.service.Drain(ctx)
}

func (p *Process) callStop(ctx context.Context) (err error) {
	defer p.recovered("Stop", &err)
	return p.service.Stop(ctx)
}

func (p *Process) callHealth() (err error) {
	defer p.recovered("Health", &err)
	return p.service.Health()
}

// assign is AssignSlots of a service that has it, else nil.
func (p *Process) assign() func(slots uint64) error {
	if p.service.AssignSlots == nil {
		return nil
	}
	return func(slots uint64) (err error) {
		defer p.recovered("AssignSlots", &err)
		return p.service.AssignSlots(slots)
	}
}
