package serve

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"

	"github.com/antano/antano/plugin/internal/about"
	"github.com/antano/antano/plugin/internal/hub"
	"github.com/antano/antano/plugin/internal/link"
	"github.com/antano/antano/plugin/internal/share"
	"github.com/antano/antano/plugin/internal/transfer"
	"github.com/antano/antano/shared"
	"github.com/antano/antano/shared/control"
	"github.com/antano/antano/shared/wire"
)

// phase is how far a process has come; it only goes on.
type phase uint8

const (
	described phase = iota
	started
	drained
	stopped
)

// Process runs one Service. Start, Drain and Stop take turns.
type Process struct {
	service   Service
	inherited Inherited
	log       *slog.Logger

	turn    chan struct{} // held by whoever changes the phase
	phase   phase
	link    *link.Link
	hub     *hub.Hub
	page    *share.Page
	current atomic.Pointer[hub.Hub] // of a started process, for everybody

	survives atomic.Bool // it serves, and may do so for a while without a manager

	lost     chan error // why the link is gone, once
	gone     chan struct{}
	goneOnce sync.Once
	done     chan struct{}
	wg       sync.WaitGroup
}

var errStarted = errors.New("start: this process was started before, or stopped")

// New returns a process that is not started.
func New(s Service, in Inherited, log *slog.Logger) *Process {
	return &Process{service: s, inherited: in, log: log, turn: make(chan struct{}, 1), lost: make(chan error, 1), gone: make(chan struct{}), done: make(chan struct{})}
}

// Describe says what the service is, with what its author left out.
func (p *Process) Describe() (d shared.Description, err error) {
	defer p.recovered("Describe", &err)
	return about.Complete(p.service.Describe()), nil
}

// Lost receives why the relay link went down without being asked to.
func (p *Process) Lost() <-chan error { return p.lost }

// Orphaned says that the manager is gone, and reports whether the process serves on in
// case that it has a successor; Lost tells when it does not.
func (p *Process) Orphaned() bool {
	p.goneOnce.Do(func() { close(p.gone) })
	return p.survives.Load()
}

// take waits for its turn.
func (p *Process) take(ctx context.Context) error {
	select {
	case p.turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("wait for what the service is doing: %w", ctx.Err())
	}
}

func (p *Process) pass() { <-p.turn }

// Start connects the relay link and starts the service. When it fails everything is
// undone.
func (p *Process) Start(ctx context.Context, s control.Start) (err error) {
	if err := p.take(ctx); err != nil {
		return err
	}
	defer p.pass()
	if p.phase != described {
		return errStarted
	}
	p.phase = started
	defer func() {
		if err != nil {
			p.phase = stopped
		}
	}()
	if err := p.connect(ctx, s); err != nil {
		return err
	}
	if err := p.callStart(ctx); err != nil {
		p.disconnect(context.WithoutCancel(ctx))
		return fmt.Errorf("start service %s: %w", s.Params.Name, err)
	}
	p.current.Store(p.hub)
	p.survives.Store(s.AdoptionWindow > 0)
	p.page.Serve(true)
	p.link.AssignSlots()
	return nil
}

func (p *Process) connect(ctx context.Context, s control.Start) (err error) {
	if p.inherited.Share == noFD {
		p.page = share.New(s.ShareRow, s.ShareRows)
	} else if p.page, err = share.Open(p.inherited.Share, s.ShareRow, s.ShareRows); err != nil {
		return err
	}
	hello := wire.Hello{
		Version: shared.ProtocolVersion, Process: uint16(s.Identity.ProcessID),
		Generation: uint32(s.Identity.Generation), Secret: s.Secret,
	}
	p.link, err = link.Dial(ctx, link.Config{
		Socket: s.RelaySocket, Hello: hello,
		QueueBytes: s.Params.Limits.ProcessQueueBytes,
		Health:     p.health,
		Assign:     p.assign(),
		Give:       func(move uint64) { p.give(s.RelaySocket, wire.Transfer{Hello: hello, Move: move}) },
		Window:     s.AdoptionWindow,
		Gone:       p.lifeline(),
	})
	if err != nil {
		return errors.Join(err, p.page.Close())
	}
	p.hub = hub.New(hub.Config{
		Identity: s.Identity, Params: s.Params, PushBack: s.PushBack, HandlerTimeout: s.HandlerTimeout,
		Window: int(p.link.Welcome().Window), Relay: p.link, Page: p.page, Log: p.log, Handler: p.service.Handler,
		Transport: p.service.Transport,
		Dial: func(ctx context.Context, move uint64) (*transfer.Conn, error) {
			return transfer.Dial(ctx, s.RelaySocket, wire.Transfer{Hello: hello, Move: move})
		},
	})
	p.link.Run(p.hub)
	p.wg.Go(p.watch)
	return nil
}

// lifeline is closed by Orphaned; nil where nobody would call that.
func (p *Process) lifeline() <-chan struct{} {
	if p.inherited.Lifeline == noFD {
		return nil
	}
	return p.gone
}

// watch reports a link that goes down by itself.
func (p *Process) watch() {
	select {
	case <-p.done:
	case <-p.link.Down():
		select {
		case <-p.done:
		default:
			p.lost <- p.link.Err()
		}
	}
}

// disconnect ends what connect made.
func (p *Process) disconnect(ctx context.Context) error {
	close(p.done)
	p.current.Store(nil)
	p.page.Serve(false)
	err := p.hub.Close(ctx)
	p.link.Close()
	p.wg.Wait()
	return err // the page stays mapped: a straggler that counts must not crash
}

// health is what fails, asked by the link's reader.
func (p *Process) health() string {
	h := p.current.Load()
	if h == nil {
		return ""
	}
	if failing := h.Health(); failing != "" {
		return failing
	}
	if p.service.Health != nil {
		if err := p.callHealth(); err != nil {
			return err.Error()
		}
	}
	return ""
}

// Drain takes no new clients, waits until nothing is owed to anybody or ctx ends, and
// ends the clients. It returns how many of them were not done. Called again it waits for
// the first one: a successor of the manager that drained asks so.
func (p *Process) Drain(ctx context.Context) (unfinished int, err error) {
	if err := p.take(ctx); err != nil {
		return 0, err
	}
	defer p.pass()
	if p.phase == drained {
		return 0, nil
	}
	if p.phase != started {
		return 0, errors.New("drain: the service is not started")
	}
	p.phase = drained
	defer p.end()
	if p.service.Drain != nil {
		err = p.callDrain(ctx)
	}
	return p.hub.Drain(ctx), err
}

// end makes a loss of the manager final: there is nothing to take over any more.
func (p *Process) end() {
	p.survives.Store(false)
	p.link.Final()
}

// Stop closes everything at once. A process that was not started has nothing to stop.
func (p *Process) Stop(ctx context.Context) error {
	if err := p.take(ctx); err != nil {
		return err
	}
	defer p.pass()
	if p.phase == described || p.phase == stopped {
		p.phase = stopped
		return nil
	}
	p.phase = stopped
	p.end()
	p.link.EndSlots()
	p.hub.EndMoves(ctx)
	return errors.Join(p.callStop(ctx), p.disconnect(ctx))
}

// Kick ends a client in good order, without waiting, and reports whether it was there.
func (p *Process) Kick(id shared.ClientID) bool {
	h := p.current.Load()
	return h != nil && h.Kick(id)
}

// Metric returns a metric of the author's; 0 without.
func (p *Process) Metric(name string) int64 {
	if h := p.current.Load(); h != nil {
		return h.Metric(name)
	}
	return 0
}

// Clients lists who is connected.
func (p *Process) Clients() []control.Client {
	h := p.current.Load()
	if h == nil {
		return nil
	}
	rows := h.Rows()
	list := make([]control.Client, len(rows))
	for i, r := range rows {
		list[i] = control.Client{
			ID: r.ID, Address: r.Address, Connected: r.Connected, MessagesIn: r.MessagesIn,
			MessagesOut: r.MessagesOut, QueuedBytes: uint64(r.QueuedBytes), Groups: r.Groups,
		}
	}
	return list
}
