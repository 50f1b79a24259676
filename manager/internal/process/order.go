package process

import "context"

type verb uint8

const (
	verbReplace verb = iota
	verbStart
	verbStop
	verbSet
)

// order is one command; the machine answers it exactly once.
type order struct {
	ctx    context.Context // the caller's, only to see that it gave up
	verb   verb
	set    Settings
	g      *generation // the one whose start decides; nil while it is not launched
	cause  error       // why the replacement is being given up
	result chan error
}

func (p *Process) order(ctx context.Context, o *order) error {
	o.ctx, o.result = ctx, make(chan error, 1)
	select {
	case p.orders <- o:
	case <-p.gone:
		return ErrStopped
	case <-ctx.Done():
		return ctx.Err()
	}
	return <-o.result // Run answers soon after ctx ends, and before it returns
}

// Replace starts a new generation with the given settings beside the running one and,
// once it is ready, hands over to it and drains the old one in the background. With
// an error the old one runs on with its own settings; a *NotReadyError has the
// evidence. A process that waits for its next start, or starts, is started anew at
// once. It blocks until the new generation serves or is gone. ErrStopped when the
// process is stopped. The end of ctx gives the new generation up. Safe for concurrent
// use.
func (p *Process) Replace(ctx context.Context, s Settings) error {
	return p.order(ctx, &order{verb: verbReplace, set: s})
}

// Start ends a Stop, or a wait for the next start: it starts a generation at once,
// with the given settings, and blocks until that is ready or gone, which is a
// *NotReadyError; the process is then restarted as after any exit. A process that is
// ready stays as it is. The end of ctx ends the wait alone.
func (p *Process) Start(ctx context.Context, s Settings) error {
	return p.order(ctx, &order{verb: verbStart, set: s})
}

// Stop drains and stops every generation and keeps the process stopped until Start.
// It ends a Replace or Start under way with ErrStopped, and blocks until nothing
// runs. The end of ctx ends the wait alone.
func (p *Process) Stop(ctx context.Context) error {
	return p.order(ctx, &order{verb: verbStop})
}

// Set has the settings apply to the next generation, and the policy at once.
func (p *Process) Set(ctx context.Context, s Settings) error {
	return p.order(ctx, &order{verb: verbSet, set: s})
}
