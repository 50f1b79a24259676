package manager

import (
	"context"
	"errors"

	"github.com/antano/antano/manager/internal/event"
	"github.com/antano/antano/manager/internal/relay"
	"github.com/antano/antano/manager/internal/slots"
)

// relayedReaders are those behind a relay.
type relayedReaders struct{ server *Server }

func (relayedReaders) assign(ctx context.Context, i *instance, set slots.Set) error {
	return i.link.AssignSlots(ctx, set)
}

var errNoHandover = errors.New("the plugin cannot hand clients over")

func (r relayedReaders) handOver(ctx context.Context, from, to *instance, set slots.Set) error {
	if !from.spec.movesTo(to.spec) {
		return errNoHandover
	}
	return r.server.router.Move(ctx, from.link, to.link, relay.Scope{Slots: set})
}

func (relayedReaders) starting(w *worker, generation int) bool {
	st := w.process.Status()
	return st.State == event.Starting && st.Ref.Generation == generation
}

func (relayedReaders) ended(i *instance) <-chan struct{} { return i.Done() }

func (relayedReaders) confirmed(i *instance, set slots.Set) { i.emitSlots(set) }

func (r relayedReaders) warn(what string, i *instance, err error) {
	r.server.cfg.Logger.Warn(what, "service", i.spec.plan.Params.Name, "process", i.w.id, "generation", i.gen, "err", err)
}
