package load

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"time"
)

// Members is a few clients in many groups, each group with one of them. Close ends them.
type Members struct {
	clients []*client
	groups  int
}

// perMember is how many groups a client joins, fewer than a server allows.
const perMember = 50_000

const joinedPrefix = `{"type":"joined"`

// JoinMany connects clients and makes them members of so many groups.
func JoinMany(ctx context.Context, t Target, groups int) (*Members, error) {
	m := &Members{groups: groups}
	for from := 0; from < groups; from += perMember {
		k, err := connect(ctx, t)
		if err != nil {
			m.Close()
			return nil, err
		}
		m.clients = append(m.clients, k)
		if err := k.joinMany(ctx, from, min(from+perMember, groups)); err != nil {
			m.Close()
			return nil, fmt.Errorf("join groups from %d on: %w", from, err)
		}
	}
	return m, nil
}

// Close ends the clients.
func (m *Members) Close() {
	for _, k := range m.clients {
		k.close()
	}
}

// joinsAtOnce is how many joins a client has under way, whose answers have room in its
// queue.
const joinsAtOnce = 4096

// joinMany joins the groups from one to below another and waits for all answers.
func (k *client) joinMany(ctx context.Context, from, to int) error {
	defer interrupt(ctx, []net.Conn{k.Conn})()
	for ; from < to; from += joinsAtOnce {
		if err := k.joinSome(from, min(from+joinsAtOnce, to)); err != nil {
			return errors.Join(context.Cause(ctx), err)
		}
	}
	return k.SetDeadline(time.Time{})
}

func (k *client) joinSome(from, to int) error {
	_ = k.SetDeadline(time.Now().Add(answerTime))
	var joins []byte
	for n := from; n < to; n++ {
		joins = fmt.Appendf(joins, "{\"type\":\"join\",\"entity\":%q,\"entity_id\":%d}\n", groupEntity, firstGroup+n)
	}
	if _, err := k.Write(joins); err != nil {
		return err
	}
	for range to - from {
		frame, err := k.frame()
		if err != nil {
			return err
		}
		if !bytes.HasPrefix(frame, []byte(joinedPrefix)) {
			return fmt.Errorf("the answer to a join is %q", frame)
		}
	}
	return nil
}

// Lookup sends to the groups at random, as s says, from a client of another process than
// that of the first member, and ends the members.
func (m *Members) Lookup(ctx context.Context, from Target, s Stream, seed uint64) (Result, error) {
	r, err := s.openTo(ctx, from, m.clients[0], groupEntity, firstGroup)
	if err != nil {
		return Result{}, err
	}
	r.to.gaps = len(m.clients) > 1
	var conns []net.Conn
	for _, k := range m.clients[1:] {
		in := r.to.in
		in.bytes = bytes.Clone(in.bytes)
		r.others = append(r.others, &receiver{client: k, in: in, gaps: true})
		conns = append(conns, k.Conn)
	}
	defer interrupt(ctx, conns)()
	random := rand.New(rand.NewPCG(seed, 0))
	return r.run(ctx, s.Length, func() {
		r.out.next()
		r.out.setGroup(random.IntN(m.groups))
	})
}
