package point

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/antano/antano/manager/conformance/internal/client"
	"github.com/antano/antano/manager/conformance/internal/rig"
	"github.com/antano/antano/shared"
)

// Kit is the plugin under test and what is known of it.
type Kit struct {
	rig.Plugin
	Type    string          // of the file's name
	Message json.RawMessage // that a handler is sent
	Speaks  error           // why the kit's clients cannot talk to it; nil when they can
	Timeout time.Duration   // of each point
}

// Outcome is what became of a point.
type Outcome string

// The outcomes.
const (
	Pass Outcome = "pass"
	Fail Outcome = "fail"
	Skip Outcome = "skip"
)

// skipped is why a point means nothing for a plugin.
type skipped struct{ why string }

func (s skipped) Error() string { return s.why }

func skipf(format string, args ...any) error { return skipped{fmt.Sprintf(format, args...)} }

// errSlow is the cause of the end of a point's time.
type errSlow time.Duration

func (e errSlow) Error() string { return fmt.Sprintf("not within %v", time.Duration(e)) }

// Try tries one point and leaves nothing behind. The text says what was seen, and what
// to change after a failure.
func (k *Kit) Try(ctx context.Context, p Point) (Outcome, string) {
	if why := k.lacks(p.needs); why != "" {
		return Skip, why
	}
	t := &trial{Kit: k}
	var cancel context.CancelFunc
	t.ctx, cancel = context.WithTimeoutCause(ctx, k.Timeout, errSlow(k.Timeout))
	defer cancel()
	seen, err := p.run(t)
	said := t.said()
	if closing := t.close(); err == nil {
		err = closing
	}
	var skip skipped
	switch {
	case errors.As(err, &skip):
		return Skip, skip.why
	case err != nil:
		return Fail, err.Error() + said
	}
	return Pass, seen
}

// lacks says what the plugin has not that a point needs.
func (k *Kit) lacks(n need) string {
	d := k.Description
	has := n&(sockets|clients|streams|dialled) != 0
	switch {
	case has && d.Transport == shared.TransportNone:
		return "it has no sockets"
	case n&(clients|streams) != 0 && k.Speaks != nil:
		return k.Speaks.Error()
	case n&streams != 0 && (d.Transport == shared.TransportUDP || k.Params.SocketType == shared.SocketDgram):
		return "its clients are sources of datagrams, which cannot be held back"
	case n&dialled != 0 && k.Client != "":
		return "it takes a client of the kit's own"
	case n&reach != 0 && !d.CanSend:
		return "it says can_send false"
	case n&handles != 0 && !d.Handler:
		return "it says handler false"
	case n&handover != 0 && !d.Handover:
		return "it says handover false"
	}
	return ""
}

// trial is one point under way.
type trial struct {
	*Kit
	ctx     context.Context //nolint:containedctx // lives as long as the trial
	rigs    []*rig.Rig
	clients []*client.Client
}

// rig makes a place to run processes in; change may be nil.
func (t *trial) rig(change func(*shared.ServiceParams)) (*rig.Rig, error) {
	r, err := rig.New(t.Plugin, change)
	if err == nil {
		t.rigs = append(t.rigs, r)
	}
	return r, err
}

// serve starts a process.
func (t *trial) serve(change func(*shared.ServiceParams), opts ...rig.Option) (*rig.Rig, *rig.Process, error) {
	r, err := t.rig(change)
	if err != nil {
		return nil, nil, err
	}
	p, err := r.Serve(t.ctx, opts...)
	return r, p, err
}

// connect makes a client that reads.
func (t *trial) connect(r *rig.Rig) (*client.Client, error) {
	c, err := r.Connect(t.ctx)
	if err != nil {
		return nil, err
	}
	t.clients = append(t.clients, c)
	return c.Read(), nil
}

// peer is a client whose id is known.
type peer struct {
	*client.Client
	id shared.ClientID
}

// join makes a client and asks it who it is.
func (t *trial) join(r *rig.Rig) (peer, error) {
	c, err := t.connect(r)
	if err != nil {
		return peer{}, err
	}
	o, err := c.Ask(t.ctx, `{"type":"whoami","id":"who"}`)
	if err == nil {
		err = o.Want("type", "client", "id", "who")
	}
	return peer{c, shared.ClientID(o.Int("entity_id"))}, err
}

// both starts a process and a client of it.
func (t *trial) both(change func(*shared.ServiceParams), opts ...rig.Option) (*rig.Rig, *rig.Process, peer, error) {
	r, p, err := t.serve(change, opts...)
	if err != nil {
		return nil, nil, peer{}, err
	}
	c, err := t.join(r)
	return r, p, c, err
}

func (t *trial) said() string {
	for _, r := range t.rigs {
		if s := r.Said(); s != "" {
			return s
		}
	}
	return ""
}

func (t *trial) close() (err error) {
	for _, c := range t.clients {
		c.Close()
	}
	for _, r := range t.rigs {
		err = errors.Join(err, r.Close())
	}
	return err
}

// quiet is how long the kit waits for what must not happen.
const quiet = 300 * time.Millisecond

// wait lets a moment pass.
func (t *trial) wait(d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-t.ctx.Done():
		return context.Cause(t.ctx)
	}
}

// within is the trial's context with a shorter time.
func (t *trial) within(d time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(t.ctx, d, errSlow(d))
}

// silent fails when a client is sent anything for a moment.
func (t *trial) silent(c *client.Client, why string) error {
	ctx, cancel := t.within(quiet)
	defer cancel()
	if o, err := c.Receive(ctx); err == nil {
		return fmt.Errorf("%s, but a client got %.200s", why, o)
	}
	return context.Cause(t.ctx)
}
