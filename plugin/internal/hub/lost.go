package hub

import (
	"github.com/antano/antano/shared"
	"github.com/antano/antano/shared/wire"
)

// OnLost settles what the manager that is gone was to answer: what it had got is
// `process_lost`, unless the change was planned; what waits goes to its successor.
// Joins wait too, since Replay asks again.
func (h *Hub) OnLost(planned bool, waiting func(func(wire.Frame))) {
	kept := map[uint64]struct{}{}
	used := map[wire.Lane]int{}
	var m wire.Message
	waiting(func(f wire.Frame) {
		if f.Type != wire.TypeMessage || m.Parse(f.Body) != nil {
			return
		}
		if m.Token != 0 {
			kept[m.Token] = struct{}{}
		}
		if id, direct := wire.LaneOf(m.Kind, m.EntityID); direct {
			used[id] += len(f.Raw)
		}
	})
	h.lanes.restart(used)
	h.moves.abortAll()
	if planned {
		return
	}
	var r wire.Result
	r.Fail(shared.CodeProcessLost, 1)
	for _, p := range h.pending.takeLost(kept) {
		h.resolve(&p, &r, h.mark)
	}
	h.OnDry()
}

// OnUnread counts what went with a manager, without anybody being told.
func (h *Hub) OnUnread(messages uint64) { h.page.Drop(shared.CodeProcessLost, int(messages)) }

// takeLost closes every token but the kept ones and those of groups, and returns what
// they stood for, oldest first.
func (t *pendings) takeLost(kept map[uint64]struct{}) (lost []pending) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for i := t.oldest; i != noSlot; {
		s := &t.slots[i]
		next := s.next
		_, keep := kept[uint64(s.check)<<32|uint64(i)]
		if !keep && s.group == nil {
			lost = append(lost, t.removeLocked(i))
		}
		i = next
	}
	return lost
}

// restart books what waits for a successor of the manager, whose queues are empty.
func (l *lanes) restart(used map[wire.Lane]int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for id, e := range l.m {
		e.used, e.spent = used[id], false
		if e.more != nil {
			close(e.more)
			e.more = nil
		}
		if e.used == 0 {
			delete(l.m, id)
		}
	}
	for id, n := range used {
		if l.m[id] == nil {
			l.m[id] = &lane{used: n}
		}
	}
}

// Replay appends, for a successor of the manager, the subscriptions of this process, the
// clients that it is to keep, whose calls are this process's, and its metrics.
func (h *Hub) Replay(dst []byte) []byte {
	return h.metrics.Replay(h.replayCallers(h.replayKept(h.replayGroups(dst))))
}

func (h *Hub) replayGroups(dst []byte) []byte {
	h.groups.mu.RLock()
	defer h.groups.mu.RUnlock()
	h.groups.table.All(func(entity string, id int64, at **group) bool {
		g, frame := *at, wire.Group{ID: id, Entity: []byte(entity)}
		if g.opening != nil {
			frame.Token = g.opening.token
		}
		dst = wire.AppendGroup(dst, wire.TypeSubscribe, &frame)
		return true
	})
	return dst
}
