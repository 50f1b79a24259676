package point

import (
	"errors"
	"fmt"
	"syscall"
	"time"

	"github.com/antano/antano/manager/conformance/internal/client"
	"github.com/antano/antano/manager/conformance/internal/rig"
)

// drainTime is what the kit gives a drain that has to wait.
const drainTime = 10 * time.Second

// draining is a Drain under way.
type draining struct {
	done       chan struct{}
	unfinished int
	err        error
}

func (t *trial) drain(p *rig.Process, deadline time.Duration) *draining {
	d := &draining{done: make(chan struct{})}
	go func() {
		d.unfinished, d.err = p.Drain(t.ctx, deadline)
		close(d.done)
	}()
	return d
}

func (d *draining) wait() error { <-d.done; return d.err } // which ends with the trial

func (d *draining) answered() bool {
	select {
	case <-d.done:
		return true
	default:
		return false
	}
}

// drain has it owe an answer where it can, and refuses new clients meanwhile.
func drain(t *trial) (string, error) {
	r, p, err := t.serve(nil)
	if err != nil {
		return "", err
	}
	seen := "Drain and Stop were answered, and it exited 0"
	if t.lacks(clients) == "" {
		seen = "Drain waited for an answer that was owed and took no new client; then it stopped and exited 0"
		if err := t.drainOwing(r, p); err != nil {
			return "", err
		}
	} else if err := t.drain(p, drainTime).wait(); err != nil {
		return "", err
	}
	if _, err := p.Link.Health(t.ctx, 1); err != nil {
		return "", fmt.Errorf("after Drain: %w; the relay link stays up until Stop", err)
	}
	if err := t.stops(p); err != nil {
		return "", err
	}
	return seen, t.drainDeadline()
}

func (t *trial) drainOwing(r *rig.Rig, p *rig.Process) error {
	c, err := t.join(r)
	if err != nil {
		return err
	}
	if err := c.Send(`{"entity":"room","entity_id":1,"message":"last","id":1}`); err != nil {
		return err
	}
	m, err := p.Link.Message(t.ctx)
	if err != nil {
		return err
	}
	d := t.drain(p, drainTime)
	if err := t.refuses(r, d); err != nil {
		return err
	}
	if d.answered() {
		return errors.Join(errors.New("the answer to Drain came while a client's message had no answer; wait for its result"), d.err)
	}
	if err := p.Link.Answer(m.Token, 1); err != nil {
		return err
	}
	o, err := c.Receive(t.ctx)
	if err == nil {
		err = o.Want("type", "receipt", "id", "1")
	}
	if err != nil {
		return fmt.Errorf("while it drains, the result of a client's message came: %w", err)
	}
	if err := d.wait(); err != nil {
		return err
	}
	if d.unfinished != 0 {
		return fmt.Errorf("the answer to Drain says that %d clients were not done, and all were", d.unfinished)
	}
	return nil
}

// refuses has somebody new come while the process drains.
func (t *trial) refuses(r *rig.Rig, d *draining) error {
	if err := t.wait(quiet); err != nil || d.answered() {
		return err
	}
	late, err := r.Connect(t.ctx)
	if err != nil {
		return nil // it closed the socket, which only hurts itself here
	}
	t.clients = append(t.clients, late.Read())
	if err := late.Send(`{"type":"ping","id":1}`); err != nil {
		return nil
	}
	ctx, cancel := t.within(quiet)
	defer cancel()
	if o, err := late.Receive(ctx); err == nil && o.Text("type") == "pong" {
		return errors.New("a client that came while it drains was served; leave new connections to the next process")
	}
	return nil
}

// drainDeadline has a drain wait for what never comes.
func (t *trial) drainDeadline() error {
	if t.lacks(clients) != "" {
		return nil
	}
	_, p, c, err := t.both(nil)
	if err != nil {
		return err
	}
	if err := c.Send(`{"entity":"room","entity_id":1,"message":"never answered","id":1}`); err != nil {
		return err
	}
	if _, err := p.Link.Message(t.ctx); err != nil {
		return err
	}
	if err := t.drain(p, quiet).wait(); err != nil {
		return fmt.Errorf("drain with a deadline of %v, while an answer is owed that does not come: %w", quiet, err)
	}
	ctx, cancel := t.within(quiet)
	defer cancel()
	if o, err := c.Receive(ctx); err == nil && o.Text("code") == "timeout" {
		return fmt.Errorf("drain with a deadline of %v waited until the client was told timeout; end it at the deadline", quiet)
	}
	return nil
}

// stops calls Stop and waits for the exit.
func (t *trial) stops(p *rig.Process) error {
	if err := p.Stop(t.ctx); err != nil {
		return err
	}
	return t.exits(p, 0, "after Stop")
}

func (t *trial) exits(p *rig.Process, code int, when string) error {
	exit, err := p.Ended(t.ctx)
	if err != nil {
		return fmt.Errorf("%s: %w", when, err)
	}
	if exit.Code != code {
		return fmt.Errorf("%s it ended: %s; exit %d", when, exit.Cause, code)
	}
	return nil
}

// stop stops it with a client that is connected.
func stop(t *trial) (string, error) {
	r, p, err := t.serve(nil)
	if err != nil {
		return "", err
	}
	var c *client.Client
	if t.lacks(clients) == "" {
		if c, err = t.connect(r); err != nil {
			return "", err
		}
		if _, err := c.Ask(t.ctx, `{"type":"ping","id":1}`); err != nil {
			return "", err
		}
	}
	if err := t.stops(p); err != nil {
		return "", err
	}
	if c != nil && t.lacks(streams|dialled) == "" {
		if o, err := c.Receive(t.ctx); !errors.Is(err, client.ErrEnded) {
			return "", fmt.Errorf("after Stop a client got %v, %w; its connection should have ended", o, err)
		}
	}
	return "it exited 0", nil
}

// sigterm sends what a terminal sends first.
func sigterm(t *trial) (string, error) {
	_, p, err := t.serve(nil)
	if err != nil {
		return "", err
	}
	if err := p.SignalGroup(syscall.SIGINT); err != nil {
		return "", err
	}
	if err := t.wait(quiet); err != nil {
		return "", err
	}
	if !p.Running() {
		return "", fmt.Errorf("SIGINT ended it: %s; ignore it, a Ctrl-C in the manager's terminal is for the manager", p.Exit().Cause)
	}
	if _, err := p.Link.Health(t.ctx, 1); err != nil {
		return "", fmt.Errorf("after SIGINT: %w", err)
	}
	if err := p.Signal(syscall.SIGTERM); err != nil {
		return "", err
	}
	return "SIGINT changed nothing, SIGTERM ended it with 0", t.exits(p, 0, "after SIGTERM")
}

// linkClosed closes the link while the lifeline is open.
func linkClosed(t *trial) (string, error) {
	r, p, err := t.serve(nil, rig.Adoption(time.Hour))
	if err != nil {
		return "", err
	}
	p.Link.Close()
	if err := t.exits(p, 1, "after the manager, which lives, closed the relay link"); err != nil {
		return "", err
	}
	if r.Manager.Waiting() {
		return "", fmt.Errorf("it dialled the relay again; it does so only when the lifeline has ended, too")
	}
	return "it exited 1", nil
}
