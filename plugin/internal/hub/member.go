package hub

import "slices"

// fewJoined is how many groups of a client, or members of a group, are looked through to
// find one.
const fewJoined = 32

// memberships are the groups of one client, guarded by hub.groups.mu.
type memberships struct {
	list []membership
	at   map[*group]int32 // where each is in list; nil until a group with many members is looked for
}

// A membership is known to both sides, each of which knows where it is on the other.
type (
	membership struct {
		group *group
		at    int32 // in the group's members
	}
	member struct {
		client *Client
		at     int32 // in the client's list
	}
)

func (j *memberships) len() int { return len(j.list) }

// find returns where g is in the list of c, -1 without it.
func (g *group) find(c *Client) int32 {
	j := &c.joined
	switch {
	case len(j.list) <= fewJoined:
		return int32(slices.IndexFunc(j.list, func(m membership) bool { return m.group == g }))
	case len(g.members) <= fewJoined:
		if i := slices.IndexFunc(g.members, func(m member) bool { return m.client == c }); i >= 0 {
			return g.members[i].at
		}
		return -1
	}
	if j.at == nil {
		j.index()
	}
	if i, ok := j.at[g]; ok {
		return i
	}
	return -1
}

func (j *memberships) index() {
	j.at = make(map[*group]int32, len(j.list))
	for i := range j.list {
		j.at[j.list[i].group] = int32(i)
	}
}

func (j *memberships) add(m membership) {
	j.list = append(j.list, m)
	if j.at != nil {
		j.at[m.group] = int32(len(j.list) - 1)
	}
}

// remove fills the gap at i with the last one.
func (j *memberships) remove(i int32) {
	gone, last := j.list[i].group, int32(len(j.list)-1)
	moved := j.list[last]
	if i != last {
		j.list[i] = moved
		moved.group.members[moved.at].at = i
	}
	j.list[last] = membership{}
	j.list = shrink(j.list[:last])
	if j.at != nil {
		delete(j.at, gone)
		if i != last {
			j.at[moved.group] = i
		}
		if last <= fewJoined {
			j.at = nil
		}
	}
}

// has reports whether c is a member. The lock is held.
func (g *group) has(c *Client) bool { return g.find(c) >= 0 }

// enter makes c a member, which it is not yet. The lock is held.
func (g *group) enter(c *Client) {
	at := int32(c.joined.len())
	c.joined.add(membership{group: g, at: int32(len(g.members))})
	g.members = append(g.members, member{client: c, at: at})
}

// leave ends a membership and reports whether there was one. The lock is held.
func (g *group) leave(c *Client) bool {
	i := g.find(c)
	if i < 0 {
		return false
	}
	at, last := c.joined.list[i].at, len(g.members)-1
	moved := g.members[last]
	g.members[at] = moved
	moved.client.joined.list[moved.at].at = at
	g.members[last] = member{}
	g.members = shrink(g.members[:last])
	c.joined.remove(i)
	return true
}

// shrink gives back most of a list that was once much longer.
func shrink[T any](list []T) []T {
	if cap(list) > 64 && len(list) < cap(list)/4 {
		return append(make([]T, 0, 2*len(list)), list...)
	}
	return list
}
