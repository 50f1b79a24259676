package load

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
	"time"
)

// Member is one client in many groups. Close ends it.
type Member struct {
	client *client
	groups int
}

// NewMember connects a client that is in no group yet.
func NewMember(ctx context.Context, t Target) (*Member, error) {
	k, err := connect(ctx, t)
	if err != nil {
		return nil, err
	}
	return &Member{client: k}, nil
}

// Process is the process_id of the one that serves it.
func (m *Member) Process() int { return m.client.process }

// Close ends the client.
func (m *Member) Close() { m.client.close() }

const joinedPrefix = `{"type":"joined"`

// Join makes it a member of groups more, and returns when every join is answered.
func (m *Member) Join(ctx context.Context, groups int) error {
	defer interrupt(ctx, []net.Conn{m.client.Conn})()
	var writer sync.WaitGroup
	defer writer.Wait()
	var failed error
	writer.Go(func() { failed = m.writeJoins(groups) })
	for range groups {
		_ = m.client.SetReadDeadline(time.Now().Add(answerTime))
		frame, err := m.client.frame()
		if err == nil && !bytes.HasPrefix(frame, []byte(joinedPrefix)) {
			err = fmt.Errorf("the answer to a join is %q", frame)
		}
		if err != nil {
			m.client.close()
			writer.Wait()
			return errors.Join(context.Cause(ctx), err, failed)
		}
	}
	m.groups += groups
	return m.client.SetReadDeadline(time.Time{})
}

func (m *Member) writeJoins(groups int) error {
	var batch []byte
	for i := range groups {
		batch = fmt.Appendf(batch, "{\"type\":\"join\",\"entity\":%q,\"entity_id\":%d}\n", groupEntity, firstGroup+m.groups+i)
		if len(batch) >= batchBytes || i == groups-1 {
			if _, err := m.client.Write(batch); err != nil {
				return err
			}
			batch = batch[:0]
		}
	}
	return nil
}

// Lookup sends to its groups at random, from a client elsewhere, as s says, and then
// ends the member.
func (m *Member) Lookup(ctx context.Context, from Target, s Stream, seed uint64) (Result, error) {
	r, err := s.openTo(ctx, from, m.client, groupEntity, firstGroup)
	if err != nil {
		return Result{}, err
	}
	random := rand.New(rand.NewPCG(seed, 0))
	return r.run(ctx, s.Length, func() {
		r.out.next()
		r.out.setGroup(random.IntN(m.groups))
	})
}
