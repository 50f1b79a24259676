package hub

import (
	"sync"
	"time"

	"github.com/antano/antano/shared"
	"github.com/antano/antano/shared/wire"
)

// maxJoined bounds the groups that one client is a member of.
const maxJoined = 1 << 16

// groups is which clients of this process are members of what. The manager knows
// only that this process has members: it is told of the first and of the last one,
// in the order in which that happened, since the lock is held while the frame is
// queued.
type groups struct {
	mu sync.RWMutex
	m  map[groupKey]*group
}

type groupKey struct {
	entity string
	id     int64
}

type group struct {
	key        groupKey
	members    map[*Client]struct{}
	token      uint64   // of the subscription
	asleep     int      // clients on the move to here that will be members
	subscribed bool     // the manager has confirmed
	waiting    []joiner // until it has
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
	g := h.groups.m[key]
	if g != nil {
		if _, member := c.joined[g]; member && g.subscribed {
			return false, shared.CodeNone
		}
	}
	if len(c.joined) >= maxJoined {
		return false, shared.CodeOverloaded
	}
	if g == nil {
		if g = h.subscribe(key); g == nil {
			return false, shared.CodeOverloaded
		}
	}
	if _, member := c.joined[g]; !member {
		g.enter(c)
		h.tellMember(wire.TypeMember, c, key)
	}
	if g.subscribed {
		return false, shared.CodeNone
	}
	g.await(c, id, false)
	return true, shared.CodeNone
}

// enter makes c a member. The lock is held.
func (g *group) enter(c *Client) {
	if c.joined == nil {
		c.joined = map[*group]struct{}{}
	}
	c.joined[g] = struct{}{}
	g.members[c] = struct{}{}
}

func (g *group) await(c *Client, id []byte, left bool) {
	c.oweAnswer()
	g.waiting = append(g.waiting, joiner{c, append([]byte(nil), id...), left})
}

// subscribe makes a group and tells the manager; nil when too much is open. The lock
// is held.
func (h *Hub) subscribe(key groupKey) *group {
	g := &group{key: key, members: map[*Client]struct{}{}}
	token, ok := h.pending.add(pending{group: g}, time.Now())
	if !ok {
		return nil
	}
	g.token = token
	h.clock.arm()
	if h.groups.m == nil {
		h.groups.m = map[groupKey]*group{}
	}
	h.groups.m[key] = g
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
	h.groups.mu.Lock()
	waiting := g.waiting
	g.waiting = nil
	if r.Delivered > 0 {
		g.subscribed = true
	} else {
		g.asleep = 0
		for c := range g.members {
			h.leaveLocked(c, g)
			h.tellMember(wire.TypeNoMember, c, g.key)
		}
		h.endGroup(g)
	}
	h.groups.mu.Unlock()
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

// leave ends a membership, if there is one. wait says that the answer comes with the
// manager's, behind that to the join.
func (h *Hub) leave(c *Client, to shared.Address, id []byte) (wait bool) {
	h.groups.mu.Lock()
	defer h.groups.mu.Unlock()
	g := h.groups.m[groupKey{to.Entity, to.ID}]
	if g == nil {
		return false
	}
	if _, member := g.members[c]; member && !g.subscribed {
		g.await(c, id, true)
		wait = true
	}
	h.leaveLocked(c, g)
	h.tellMember(wire.TypeNoMember, c, g.key)
	return wait
}

func (h *Hub) leaveLocked(c *Client, g *group) {
	if _, member := g.members[c]; !member {
		return
	}
	delete(g.members, c)
	delete(c.joined, g)
	h.endGroup(g)
}

// endGroup tells the manager when there is no member any more. The lock is held.
func (h *Hub) endGroup(g *group) {
	if len(g.members) == 0 && g.asleep == 0 && h.groups.m[g.key] == g {
		delete(h.groups.m, g.key)
		h.tellGroup(wire.TypeUnsubscribe, 0, g.key)
	}
}

// leaveAll ends all memberships of a closed client.
func (h *Hub) leaveAll(c *Client) {
	h.groups.mu.Lock()
	defer h.groups.mu.Unlock()
	for g := range c.joined {
		h.leaveLocked(c, g)
	}
}

// joinedGroups lists what c is a member of.
func (h *Hub) joinedGroups(c *Client) []shared.Address {
	h.groups.mu.RLock()
	defer h.groups.mu.RUnlock()
	list := make([]shared.Address, 0, len(c.joined))
	for g := range c.joined {
		list = append(list, g.address())
	}
	return list
}

func (h *Hub) joinedCount(c *Client) int {
	h.groups.mu.RLock()
	defer h.groups.mu.RUnlock()
	return len(c.joined)
}
