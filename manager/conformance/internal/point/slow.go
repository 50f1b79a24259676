package point

import (
	"fmt"
	"strings"

	"github.com/antano/antano/manager/conformance/internal/rig"
	"github.com/antano/antano/manager/conformance/internal/script"
	"github.com/antano/antano/shared"
	"github.com/antano/antano/shared/wire"
)

// What a client that does not read is sent: more than kernels hold.
const (
	slowCount = 600
	slowSize  = 32 << 10
)

// slowClient fills up one client while another one is served.
func slowClient(t *trial) (string, error) {
	r, p, c, err := t.both(func(s *shared.ServiceParams) {
		s.Limits.ClientQueueBytes, s.Limits.MaxMessageBytes = 2*slowSize, 2*slowSize
	})
	if err != nil {
		return "", err
	}
	other, err := t.join(r)
	if err != nil {
		return "", err
	}
	c.Hold()
	held := true
	defer func() {
		if held {
			c.Release()
		}
	}()
	if err := t.flood(p, c.id); err != nil {
		return "", err
	}
	full, err := t.paused(p, c.id)
	if err != nil {
		return "", fmt.Errorf("a client did not read %d MiB: %w; say pause when its queue is over client_queue_bytes", slowCount*slowSize>>20, err)
	}
	if _, err := p.Link.Health(t.ctx, 1); err != nil {
		return "", fmt.Errorf("while a client does not read: %w; never stop reading the link", err)
	}
	if err := t.arrives(p.Link, other, 1, `"still served"`); err != nil {
		return "", fmt.Errorf("while another client does not read: %w", err)
	}
	c.Release()
	held = false
	ok, err := t.outcomes(p.Link)
	if err != nil {
		return "", err
	}
	if _, err := p.Link.Take(t.ctx, "resume", isPause(wire.TypeResume, c.id)); err != nil {
		return "", fmt.Errorf("the client reads again: %w", err)
	}
	if err := t.gotInOrder(c, ok); err != nil {
		return "", err
	}
	return fmt.Sprintf("pause came with %d ms left, others were served, resume came; %d of %d messages arrived, the rest failed as told", full.Budget, ok, slowCount), nil
}

// flood sends numbered messages with tokens from 1000 on.
func (t *trial) flood(p *rig.Process, id shared.ClientID) error {
	filler := strings.Repeat("x", slowSize)
	for i := range slowCount {
		if err := p.Link.Deliver(to(id, 1000+uint64(i), fmt.Sprintf(`{"n":%d,"x":"%s"}`, i, filler))); err != nil {
			return err
		}
	}
	return nil
}

func isPause(kind wire.Type, id shared.ClientID) func(wire.Frame) bool {
	return func(f wire.Frame) bool {
		var p wire.Pause
		return f.Type == kind && p.Parse(f.Body) == nil && p.Client == id
	}
}

func (t *trial) paused(p *rig.Process, id shared.ClientID) (full wire.Pause, err error) {
	f, err := p.Link.Take(t.ctx, "pause", isPause(wire.TypePause, id))
	if err != nil {
		return full, err
	}
	if err := full.Parse(f.Body); err != nil {
		return full, err
	}
	if full.Process != farProcess {
		return full, fmt.Errorf("pause is for process %d; it has to name the one that sent, %d", full.Process, farProcess)
	}
	return full, nil
}

// outcomes wants one result for each message of the flood, and returns how many were
// delivered.
func (t *trial) outcomes(l *script.Link) (ok int, err error) {
	seen := map[uint64]bool{}
	for range slowCount {
		res, err := l.AnyResult(t.ctx)
		if err != nil {
			return 0, fmt.Errorf("%d of %d messages to a client that did not read had a result: %w", len(seen), slowCount, err)
		}
		if res.Token < 1000 || res.Token >= 1000+slowCount || seen[res.Token] {
			return 0, fmt.Errorf("a result has token %d, which was not given or is answered already", res.Token)
		}
		seen[res.Token] = true
		if delivered(res, 1) == nil {
			ok++
		} else if err := failedAs(res, shared.CodeOverloaded, shared.CodeTimeout); err != nil {
			return 0, err
		}
	}
	return ok, nil
}

// gotInOrder reads at least what was delivered.
func (t *trial) gotInOrder(c peer, ok int) error {
	for i, last := 0, int64(-1); i < ok; i++ {
		o, err := c.Receive(t.ctx)
		if err != nil {
			return fmt.Errorf("%d messages were told to be delivered, %d arrived: %w", ok, i, err)
		}
		m, err := o.Object("message")
		if err != nil {
			return err
		}
		n := m.Int("n")
		if n <= last {
			return fmt.Errorf("message %d came behind %d", n, last)
		}
		last = n
	}
	return nil
}
