package point

import (
	"fmt"
	"time"

	"github.com/antano/antano/manager/conformance/internal/rig"
	"github.com/antano/antano/manager/conformance/internal/script"
	"github.com/antano/antano/shared"
	"github.com/antano/antano/shared/wire"
)

// lifeline ends the manager of a process that is to end with it.
func lifeline(t *trial) (string, error) {
	_, p, err := t.serve(nil)
	if err != nil {
		return "", err
	}
	p.CutLifeline()
	return "the end of its lifeline ended it with 1", t.exits(p, 1, "after the end of the lifeline, with adoption_window_ns 0,")
}

// orphanTime is the adoption window of a process without a successor.
const orphanTime = 3 * time.Second

// orphan takes the manager away for good.
func orphan(t *trial) (string, error) {
	r, p, err := t.serve(nil, rig.Adoption(orphanTime))
	if err != nil {
		return "", err
	}
	began := time.Now()
	p.CutLifeline()
	r.Manager.Close()
	if err := t.wait(quiet); err != nil {
		return "", err
	}
	if !p.Running() {
		return "", fmt.Errorf("it ended with its manager: %s; serve on for adoption_window_ns", p.Exit().Cause)
	}
	if t.lacks(clients) == "" {
		c, err := t.connect(r)
		if err != nil {
			return "", err
		}
		if _, err := c.Ask(t.ctx, `{"type":"ping","id":1}`); err != nil {
			return "", fmt.Errorf("without a manager, a ping, which needs none: %w", err)
		}
	}
	if err := t.exits(p, 1, "after its window"); err != nil {
		return "", err
	}
	lived := time.Since(began)
	if lived < orphanTime-quiet {
		return "", fmt.Errorf("it ended %v after its manager; its window is %v", lived.Round(time.Millisecond), orphanTime)
	}
	return fmt.Sprintf("it served on, and exited 1 after %v", lived.Round(10*time.Millisecond)), nil
}

// rejoin replaces the manager by a successor.
func rejoin(t *trial) (string, error) {
	r, p, err := t.serve(nil, rig.Adoption(time.Hour))
	if err != nil {
		return "", err
	}
	var c peer
	talks, reached := t.lacks(clients) == "", t.lacks(clients|reach) == ""
	if talks {
		if c, err = t.join(r); err != nil {
			return "", err
		}
	}
	if reached {
		if _, err := t.enter(p, c, 7); err != nil {
			return "", err
		}
	}
	p.CutLifeline()
	p.Link.Close()
	l, err := r.Manager.Next(t.ctx)
	if err != nil {
		return "", fmt.Errorf("after the end of the lifeline and of the link: %w", err)
	}
	if err := checkHello(l, p, wire.TypeRejoin); err != nil {
		return "", err
	}
	if err := l.Welcome(rig.ServerID, rig.Sequences, rig.Window); err != nil {
		return "", err
	}
	told, err := t.replay(l)
	if err != nil {
		return "", err
	}
	switch {
	case talks && !told.holds(c.id):
		return "", fmt.Errorf("no range that it told its successor has client %d", c.id)
	case reached && !told.groups["room/7"]:
		return "", fmt.Errorf("it did not subscribe to room/7, where a client of it is")
	case r.Slots() != 0 && told.slots != r.Slots():
		return "", fmt.Errorf("it told its successor that it reads slots %#x; it reads %#x", told.slots, r.Slots())
	}
	if _, err := l.Health(t.ctx, 1); err != nil {
		return "", fmt.Errorf("after it rejoined: %w", err)
	}
	if reached {
		if err := t.arrives(l, c, 8, `"after"`); err != nil {
			return "", fmt.Errorf("after it rejoined: %w", err)
		}
	}
	return "it said rejoin, told what it has, and served on", nil
}

// told is what a process says of itself to a successor.
type told struct {
	ranges []wire.Range
	groups map[string]bool
	slots  uint64
}

func (d *told) holds(id shared.ClientID) bool {
	for _, r := range d.ranges {
		if r.Process == id.Process() && id.Sequence() >= r.First && id.Sequence()-r.First < r.Count {
			return true
		}
	}
	return false
}

// replay reads up to rejoined.
func (t *trial) replay(l *script.Link) (d told, err error) {
	d.groups = map[string]bool{}
	for {
		f, err := l.Take(t.ctx, "rejoined", func(wire.Frame) bool { return true })
		if err != nil {
			return d, err
		}
		switch f.Type {
		case wire.TypeRejoined:
			return d, nil
		case wire.TypeRange:
			var r wire.Range
			err = r.Parse(f.Body)
			d.ranges = append(d.ranges, r)
		case wire.TypeSubscribe:
			var g wire.Group
			err = g.Parse(f.Body)
			d.groups[fmt.Sprintf("%s/%d", g.Entity, g.ID)] = true
		case wire.TypeSlotsOK:
			d.slots, err = wire.ParseU64(f.Body)
		case wire.TypeSource, wire.TypeMember, wire.TypeSenders, wire.TypeMetric: // whose form was looked at
		default:
			if f.Type.Optional() {
				continue
			}
			return d, fmt.Errorf("%s came before rejoined; nothing but what a successor has to know may", f.Type)
		}
		if err != nil {
			return d, err
		}
	}
}
