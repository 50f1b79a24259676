package hub

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/antano/antano/plugin/internal/transfer"
	"github.com/antano/antano/shared"
	"github.com/antano/antano/shared/wire"
)

// incoming is a move of clients to this process. Up to the cut they are asleep: made,
// and their groups subscribed to, but not to be found.
type incoming struct {
	hub     *Hub
	id      uint64
	ctx     context.Context // ends with the move
	cancel  context.CancelFunc
	verdict *verdict
	arrived chan struct{} // closed when no client is held any more
	once    sync.Once     // for arrived
	conn    *transfer.Conn

	mu       sync.Mutex
	scope    wire.Scope
	ranges   []wire.Range
	ready    bool
	sleepers map[shared.ClientID]*sleeper // until their rest has come
	clients  map[shared.ClientID]*Client  // all; they may have moved on
}

// sleeper is a client on the move to here.
type sleeper struct {
	client *Client
	groups []*group
	resume func()
	items  []item // of its rest
	part   []byte // of the item that is not whole
}

func newIncoming(h *Hub, id uint64) *incoming {
	in := &incoming{
		hub: h, id: id, verdict: newVerdict(), arrived: make(chan struct{}),
		sleepers: map[shared.ClientID]*sleeper{}, clients: map[shared.ClientID]*Client{},
	}
	in.ctx, in.cancel = context.WithCancel(h.ctx)
	return in
}

func (in *incoming) forget() {
	in.cancel()
	in.hub.moves.mu.Lock()
	defer in.hub.moves.mu.Unlock()
	delete(in.hub.moves.in, in.id)
}

func (in *incoming) allHere() { in.once.Do(func() { close(in.arrived) }) }

// arrived waits until every client that was moved here can move on.
func (m *moves) arrived(ctx context.Context) error {
	m.mu.Lock()
	var waits []<-chan struct{}
	for _, in := range m.in {
		waits = append(waits, in.arrived)
	}
	m.mu.Unlock()
	for _, w := range waits {
		select {
		case <-w:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// abort is called by the link's reader, as is cut.
func (in *incoming) abort() {
	in.verdict.abort()
	in.mu.Lock()
	defer in.mu.Unlock()
	if !in.ready {
		in.cancel()
	}
}

// run owns the move.
func (in *incoming) run() {
	defer in.forget()
	defer in.allHere()
	ctx, cancel := context.WithTimeout(in.ctx, moveWithin)
	defer cancel()
	err := in.collect(ctx)
	if in.conn != nil {
		defer in.conn.Discard()
		defer in.conn.Close()
		defer context.AfterFunc(in.ctx, in.conn.Abort)()
	}
	cut := false
	if err != nil {
		in.hub.tellMove(wire.TypeMoveAbort, in.id)
	} else if cut = in.verdict.await(in.ctx); !cut {
		err = errAborted
	}
	if !cut {
		in.undo()
		if in.hub.ctx.Err() == nil {
			in.hub.log.Warn("clients were not taken over", "move", in.id, "err", err)
		}
		return
	}
	in.settle()
}

// collect makes clients of what the other process sends, and says that this one is
// ready.
func (in *incoming) collect(ctx context.Context) (err error) {
	h := in.hub
	if h.cfg.Dial == nil {
		return errNoHandover
	}
	if in.conn, err = h.cfg.Dial(ctx, in.id); err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, in.conn.Abort)
	defer stop()
	if err := takeTurn(ctx, h.moves.inTurn); err != nil {
		return err
	}
	defer func() { <-h.moves.inTurn }()
	for {
		rec, err := in.conn.Next()
		if err != nil {
			return errors.Join(err, ctx.Err())
		}
		switch rec.Type {
		case transfer.TypeClient:
			err = in.take(rec.Body)
		case transfer.TypeEnd:
			if err = in.end(rec.Body); err == nil {
				h.tellMove(wire.TypeMoveReady, in.id)
				return nil
			}
		default:
			err = fmt.Errorf("%w: type %d before the end", transfer.ErrRecord, rec.Type)
		}
		if err != nil {
			return err
		}
	}
}

// take makes one client, asleep.
func (in *incoming) take(body []byte) error {
	var v transfer.Client
	if err := v.Parse(body); err != nil {
		return err
	}
	fd := -1
	if v.Descriptor {
		var err error
		if fd, err = in.conn.TakeFD(); err != nil {
			return err
		}
	}
	s := &sleeper{}
	attach := func(e *Endpoint, address string, w Writer) (*Client, error) { return in.attach(s, &v, e, address, w) }
	if in.hub.cfg.Transport == nil {
		closeFD(fd)
		return errNoHandover
	}
	resume, err := in.hub.cfg.Transport.MoveIn(v.State, fd, attach)
	if err != nil {
		return fmt.Errorf("take over client %d from %s: %w", v.ID, v.Address, err)
	}
	if s.client == nil || resume == nil {
		return fmt.Errorf("take over client %d: the service made no client of it, or cannot resume it", v.ID)
	}
	s.resume = resume
	return nil
}

var errTwice = errors.New("take over a client: it was attached before, or its id is in use")

func (in *incoming) attach(s *sleeper, v *transfer.Client, e *Endpoint, address string, w Writer) (*Client, error) {
	h := in.hub
	in.mu.Lock()
	defer in.mu.Unlock()
	if s.client != nil || in.sleepers[v.ID] != nil || h.client(v.ID) != nil {
		return nil, errTwice
	}
	c := &Client{hub: h, ep: e, id: v.ID, address: address, w: w, connected: time.Unix(0, v.Connected), done: make(chan struct{}), held: true}
	c.out.writing = true // until the rest has come
	c.received.Store(v.Received)
	c.messagesIn.Store(v.MessagesIn)
	c.messagesOut.Store(v.MessagesOut)
	_, kept := c.appendKept(nil)
	c.kept.Store(kept)
	s.client = c
	in.sleepers[v.ID], in.clients[v.ID] = s, c
	return c, h.announce(s, v.Groups)
}

// announce subscribes to the groups of a sleeper.
func (h *Hub) announce(s *sleeper, groups []shared.Address) error {
	h.groups.mu.Lock()
	defer h.groups.mu.Unlock()
	for _, a := range groups {
		key := groupKey{a.Entity, a.ID}
		g := h.groups.get(key)
		if g == nil {
			if g = h.subscribe(key); g == nil {
				return fmt.Errorf("take over client %d: too much is open to subscribe to %s", s.client.id, a)
			}
		}
		g.asleep++
		s.groups = append(s.groups, g)
	}
	return nil
}

func (in *incoming) end(body []byte) error {
	var v transfer.End
	if err := v.Parse(body); err != nil {
		return err
	}
	in.mu.Lock()
	defer in.mu.Unlock()
	if int(v.Count) != len(in.sleepers) {
		return fmt.Errorf("%w: %d clients came, %d were sent", transfer.ErrRecord, len(in.sleepers), v.Count)
	}
	in.scope, in.ranges, in.ready = v.Scope, v.Ranges, true
	return nil
}

// undo forgets the sleepers.
func (in *incoming) undo() {
	in.mu.Lock()
	sleepers := in.sleepers
	in.sleepers = nil
	in.mu.Unlock()
	for _, s := range sleepers {
		in.hub.forgetGroups(s)
		s.client.kept.Store(false) // it still is where it was
		s.client.end(errAborted)
	}
}

// forgetGroups undoes announce.
func (h *Hub) forgetGroups(s *sleeper) {
	h.groups.mu.Lock()
	defer h.groups.mu.Unlock()
	for _, g := range s.groups {
		g.wake()
		h.endGroup(g)
	}
	s.groups = nil
}

// wake takes one sleeper off.
func (g *group) wake() { g.asleep = max(g.asleep-1, 0) }

// settle gives the clients what their old process sends of them, until it is done.
func (in *incoming) settle() {
	h := in.hub
	stop := time.AfterFunc(settleWithin+closeWithin, in.conn.Abort)
	defer stop.Stop()
	defer h.jobs.free(in, nil)
	defer in.leftBehind()
	for {
		rec, err := in.conn.Next()
		if err == nil && rec.Type == transfer.TypeDone {
			return
		}
		if err == nil {
			err = in.obey(rec)
		}
		if err != nil {
			if !errors.Is(err, io.EOF) && h.ctx.Err() == nil {
				h.log.Error("the end of a move was lost", "move", in.id, "err", err)
			}
			return
		}
	}
}

func closeFD(fd int) {
	if fd >= 0 {
		unix.Close(fd)
	}
}
