package hub

import (
	"sync"
	"time"

	"github.com/antano/antano/shared"
	"github.com/antano/antano/shared/grouptable"
	"github.com/antano/antano/shared/wire"
)

// maxJoined bounds the groups that one client is a member of.
const maxJoined = 1 << 16

// groups is which clients of this process are members of what. The manager knows
// only that this process has members: it is told of the first and of the last one,
// in the order in which that happened, since the lock is held while the frame is
// queued.
type groups struct {
	mu    sync.RWMutex
	table grouptable.Table[*group]
}

func (g *groups) get(key groupKey) *group { return g.find([]byte(key.entity), key.id) }

func (g *groups) find(entity []byte, id int64) *group {
	return g.table.Get(grouptable.Hash(entity, id), entity, id)
}

// put adds a group, which shares the text of its name with others.
func (g *groups) put(key groupKey) *group {
	entity := []byte(key.entity)
	made := &group{}
	made.key = groupKey{g.table.Put(grouptable.Hash(entity, key.id), entity, key.id, made), key.id}
	return made
}

func (g *groups) remove(key groupKey) {
	entity := []byte(key.entity)
	g.table.Delete(grouptable.Hash(entity, key.id), entity, key.id)
}

type groupKey struct {
	entity string
	id     int64
}

type group struct {
	key        groupKey
	members    []member
	asleep     int32    // clients on the move to here that will be members
	subscribed bool     // the manager has confirmed
	opening    *opening // until it has
}

// opening is what a group needs until the manager has answered.
type opening struct {
	token   uint64 // of the subscription
	waiting []joiner
}

// joiner is a join, or a leave that came after one, that is still to be answered.
type joiner struct {
	client *Client
	id     []byte
	left   bool
}

func (g *group) address() shared.Address { return shared.Address{Entity: g.key.entity, ID: g.key.id} }

// join makes c a member. wait says that the answer comes with the manager's.
func (h *Hub) join(c *Client, to shared.Address, id []byte) (wait bool, code shared.Code) {
	key := groupKey{to.Entity, to.ID}
	h.groups.mu.Lock()
	defer h.groups.mu.Unlock()
	switch {
	case c.isClosed():
		return false, shared.CodeNoSuchEntity
	case c.isRetired():
		return false, shared.CodeShuttingDown
	}
	g := h.groups.get(key)
	if g != nil && g.subscribed && g.has(c) {
		return false, shared.CodeNone
	}
	if c.joined.len() >= maxJoined {
		return false, shared.CodeOverloaded
	}
	if g == nil {
		if g = h.subscribe(key); g == nil {
			return false, shared.CodeOverloaded
		}
	}
	if !g.has(c) {
		g.enter(c)
		h.tellMember(wire.TypeMember, c, key)
	}
	if g.subscribed {
		return false, shared.CodeNone
	}
	g.await(c, id, false)
	return true, shared.CodeNone
}

func (g *group) await(c *Client, id []byte, left bool) {
	c.oweAnswer()
	g.opening.waiting = append(g.opening.waiting, joiner{c, append([]byte(nil), id...), left})
}

// subscribe makes a group and tells the manager; nil when too much is open. The lock
// is held.
func (h *Hub) subscribe(key groupKey) *group {
	g := h.groups.put(key)
	token, ok := h.pending.add(pending{group: g}, time.Now())
	if !ok {
		h.groups.remove(key)
		return nil
	}
	g.opening = &opening{token: token}
	h.clock.arm()
	h.tellGroup(wire.TypeSubscribe, token, key)
	return g
}

func (h *Hub) tellGroup(t wire.Type, token uint64, key groupKey) {
	h.relay.Control(func(dst []byte) []byte {
		return wire.AppendGroup(dst, t, &wire.Group{Token: token, ID: key.id, Entity: []byte(key.entity)})
	})
}

// subscribed takes the manager's answer and answers who waits. When it refused, the
// joins are undone.
func (h *Hub) subscribed(g *group, r *wire.Result, ready func(*Client)) {
	h.answerJoiners(g, r, h.opened(g, r), ready)
	waiting := h.opened(g, r)
	if len(waiting) == 0 {
		return
	}
	// Those who join and leave without end must not keep the link's reader.
	result := *r
	rest := func() {
		for ; len(waiting) > 0; waiting = h.opened(g, &result) {
			h.answerJoiners(g, &result, waiting, (*Client).flush)
		}
		h.relay.Flush()
	}
	if !h.spawn(rest) {
		h.answerJoiners(g, r, waiting, ready)
	}
}

func (h *Hub) answerJoiners(g *group, r *wire.Result, waiting []joiner, ready func(*Client)) {
	for _, j := range waiting {
		switch {
		case j.left:
			j.client.answerLeft(j.id, g.address())
		case r.Delivered > 0:
			j.client.answerJoined(j.id, g.address())
		default:
			j.client.answerError(j.id, worst(r))
		}
		j.client.settleAnswer()
		ready(j.client)
	}
}

// opened returns who waits. A group is subscribed once nobody does any more, so that
// nobody overtakes them.
func (h *Hub) opened(g *group, r *wire.Result) (waiting []joiner) {
	h.groups.mu.Lock()
	defer h.groups.mu.Unlock()
	if g.opening == nil {
		return nil
	}
	g.opening.token = 0 // is answered: a successor of the manager is not to answer it again
	waiting, g.opening.waiting = g.opening.waiting, nil
	switch {
	case r.Delivered == 0:
		g.opening, g.asleep = nil, 0
		for len(g.members) > 0 {
			c := g.members[len(g.members)-1].client
			h.leaveLocked(c, g)
			h.tellMember(wire.TypeNoMember, c, g.key)
		}
		h.endGroup(g)
	case len(waiting) == 0:
		g.opening, g.subscribed = nil, true
	}
	return waiting
}

// leave ends a membership, if there is one. wait says that the answer comes with the
// manager's, behind that to the join.
func (h *Hub) leave(c *Client, to shared.Address, id []byte) (wait bool) {
	h.groups.mu.Lock()
	defer h.groups.mu.Unlock()
	g := h.groups.get(groupKey{to.Entity, to.ID})
	if g == nil {
		return false
	}
	if !g.subscribed && g.has(c) {
		g.await(c, id, true)
		wait = true
	}
	h.leaveLocked(c, g)
	h.tellMember(wire.TypeNoMember, c, g.key)
	return wait
}

func (h *Hub) leaveLocked(c *Client, g *group) {
	if g.leave(c) {
		h.endGroup(g)
	}
}

// endGroup tells the manager when there is no member any more. The lock is held.
func (h *Hub) endGroup(g *group) {
	if len(g.members) == 0 && g.asleep == 0 && h.groups.get(g.key) == g {
		h.groups.remove(g.key)
		h.tellGroup(wire.TypeUnsubscribe, 0, g.key)
	}
}

// leaveAll ends all memberships of a closed client.
func (h *Hub) leaveAll(c *Client) {
	h.groups.mu.Lock()
	defer h.groups.mu.Unlock()
	for c.joined.len() > 0 {
		h.leaveLocked(c, c.joined.list[c.joined.len()-1].group)
	}
}

// joinedGroups lists what c is a member of.
func (h *Hub) joinedGroups(c *Client) []shared.Address {
	h.groups.mu.RLock()
	defer h.groups.mu.RUnlock()
	list := make([]shared.Address, 0, c.joined.len())
	for _, m := range c.joined.list {
		list = append(list, m.group.address())
	}
	return list
}

func (h *Hub) joinedCount(c *Client) int {
	h.groups.mu.RLock()
	defer h.groups.mu.RUnlock()
	return c.joined.len()
}
