package hub

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"github.com/antano/antano/plugin/format"
	"github.com/antano/antano/shared"
	"github.com/antano/antano/shared/wire"
)

const (
	jobCost     = 256      // what a waiting handler call costs beside its bytes
	mailboxCost = 16 << 10 // what a sender with calls costs: a goroutine and its stack
)

// job is one message for the handler.
type job struct {
	m     shared.Message
	from  source
	owed  *owed
	reply bool // is the response of a handler, which gets none
	over  bool // stands above the bound: from a stream
}

func (j *job) cost() int { return jobCost + len(j.m.Value) + 2*len(j.m.ID) }

// mailbox holds the calls of one sender, which are made one after another.
type mailbox struct {
	waiting []job
	bytes   int
	since   time.Time // when the call that runs began; zero between two
	push    push      // on the sender's process
}

// mailboxes is the handler's queue: in order for each sender, concurrently for
// different ones. A sender without calls has no mailbox and no goroutine.
type mailboxes struct {
	mu      sync.Mutex
	m       map[source]*mailbox
	holds   holds
	callers callers
	full    int // mailboxes that push back
}

func (b *mailboxes) len() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.m)
}

// toHandler queues a message for the service's handler.
func (h *Hub) toHandler(m *wire.Message) {
	o := h.owe(m.Token)
	if h.cfg.Handler == nil {
		h.failed(o, sender(m), shared.CodeUnsupported)
		return
	}
	j := newJob(m, o)
	key := source{m.FromKind, m.FromID}
	mayPush := m.Flags&wire.FlagStream != 0 && m.FromKind == wire.KindClient
	code, pause := h.enqueue(j, key, mayPush)
	if pause.wanted {
		h.pauseSender(wire.TypePauseSender, key, pause.budget)
	}
	if code != shared.CodeNone {
		h.failed(o, sender(m), code)
	}
}

func newJob(m *wire.Message, o *owed) job {
	value := append([]byte(nil), m.Value...)
	var id, inReplyTo json.RawMessage
	if len(m.ID) > 0 {
		id = append(json.RawMessage(nil), m.ID...)
	}
	if m.Flags&wire.FlagReply != 0 {
		id, inReplyTo = nil, id
	}
	process := shared.AnyProcess
	if m.Process != wire.AnyProcess {
		process = int(m.Process)
	}
	return job{
		m:    shared.Message{To: to(m), From: from(m), ProcessID: process, ID: id, InReplyTo: inReplyTo, Format: m.Format, Value: value},
		from: sender(m), owed: o, reply: m.Flags&wire.FlagReply != 0,
	}
}

// enqueue adds a call; one sender's calls may take what one client's queue may, and a
// stream is held back before they take more.
func (h *Hub) enqueue(j job, key source, mayPush bool) (code shared.Code, p pause) {
	limits := h.cfg.Params.Limits
	h.jobs.mu.Lock()
	defer h.jobs.mu.Unlock()
	if j.m.ProcessID == shared.AnyProcess {
		h.jobs.callers.note(key, time.Now())
	}
	b := h.jobs.m[key]
	cost := j.cost()
	if b == nil {
		cost += mailboxCost
	}
	if int(h.queued.Load())+cost > limits.ProcessQueueBytes {
		return shared.CodeOverloaded, p
	}
	if b != nil && b.bytes+cost > limits.ClientQueueBytes && b.bytes > 0 {
		if !mayPush {
			return shared.CodeOverloaded, p
		}
		if p = h.jobs.meet(b, h.cfg.PushBack); b.push.spent(time.Now()) {
			return shared.CodeOverloaded, p
		}
		j.over = true
		h.clock.arm()
	}
	if b == nil {
		b = &mailbox{}
		if !h.spawn(func() { h.work(key, b) }) {
			return shared.CodeShuttingDown, p
		}
		if h.jobs.m == nil {
			h.jobs.m = map[source]*mailbox{}
		}
		h.jobs.m[key] = b
	}
	b.waiting = append(b.waiting, j)
	b.bytes += j.cost()
	h.queued.Add(int64(cost))
	return shared.CodeNone, p
}

// work makes the calls of one sender until there are none.
func (h *Hub) work(key source, b *mailbox) {
	for {
		h.jobs.mu.Lock()
		b.since = time.Time{}
		if changed := h.jobs.heldBack(key); changed != nil && h.ctx.Err() == nil && len(b.waiting) > 0 {
			h.jobs.mu.Unlock()
			select {
			case <-changed:
			case <-h.ctx.Done():
			}
			continue
		}
		if len(b.waiting) == 0 {
			delete(h.jobs.m, key)
			h.queued.Add(-mailboxCost)
			h.jobs.mu.Unlock()
			return
		}
		j := b.waiting[0]
		b.waiting[0] = job{}
		b.waiting = b.waiting[1:]
		b.since = time.Now()
		h.jobs.mu.Unlock()

		if h.ctx.Err() == nil {
			h.handle(&j)
		} else {
			h.failed(j.owed, j.from, shared.CodeShuttingDown)
		}

		h.jobs.mu.Lock()
		b.bytes -= j.cost()
		resume := h.jobs.relieved(b, h.cfg.Params.Limits.ClientQueueBytes)
		h.jobs.mu.Unlock()
		h.queued.Add(-int64(j.cost()))
		if resume {
			h.pauseSender(wire.TypeResumeSender, key, 0)
		}
		h.relay.Flush()
	}
}

func (h *Hub) handle(j *job) {
	response, err := h.call(&j.m)
	if err != nil {
		h.failed(j.owed, j.from, codeOf(err))
		return
	}
	if response != nil && !j.reply { // first, so that the sender's process does not drain before it
		h.respond(j, response)
	}
	j.owed.end(shared.CodeNone, 1)
}

// call makes one handler call; a panic is logged and becomes an error.
func (h *Hub) call(m *shared.Message) (response any, err error) {
	ctx := h.ctx
	if h.cfg.HandlerTimeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, h.cfg.HandlerTimeout)
		defer cancel()
	}
	defer h.Recovered("handler", &err, "from", m.From.String())
	return h.cfg.Handler(ctx, m)
}

// encode makes JSON of a response; a panic of its own marshaller becomes an error.
func (h *Hub) encode(m *shared.Message, response any) (value []byte, err error) {
	defer h.Recovered("the response of the handler", &err, "from", m.From.String())
	return format.Encode(response)
}

// respond sends a handler's response back to the sender.
func (h *Hub) respond(j *job, response any) {
	r := wire.Message{
		Flags: wire.FlagReply | wire.FlagStream, EntityID: j.m.From.ID, Process: wire.AnyProcess,
		Kind: wire.KindOf(j.m.From.Entity), FromKind: wire.KindService, FromID: h.cfg.Identity.ServiceID,
		ID: j.m.ID, Format: j.m.Format,
	}
	switch v := response.(type) {
	case []byte:
		r.Value = v
	case json.RawMessage:
		r.Value = v
	default:
		var err error
		if r.Value, err = h.encode(&j.m, response); err != nil {
			h.page.Drop(shared.CodeUnsupported, 1)
			h.log.Error("encode handler response", "to", j.m.From.String(), "err", err)
			return
		}
		r.Format = shared.FormatJSON
	}
	code := shared.CodeTooLarge
	if len(r.Value) <= shared.MaxMessageBytes {
		code = h.send(&r, h.serviceWait(h.ctx))
	}
	if code != shared.CodeNone {
		h.page.Drop(code, 1)
		h.log.Warn("handler response dropped", "to", j.m.From.String(), "code", code.String())
	}
}

// serviceWait is how long a message of the service itself may be held back.
func (h *Hub) serviceWait(ctx context.Context) *wait {
	return &wait{can: true, limit: h.cfg.PushBack, done: ctx.Done(), stopped: h.ctx.Done(), flush: h.relay}
}

// Health names what cannot go on, or a handler call that is older than its timeout, or
// returns "".
func (h *Hub) Health() string {
	if h.unread.Load() {
		return "MoveBack panicked, and its clients are not read any more"
	}
	limit := h.cfg.HandlerTimeout
	if limit <= 0 {
		return ""
	}
	now := time.Now()
	h.jobs.mu.Lock()
	defer h.jobs.mu.Unlock()
	for key, b := range h.jobs.m {
		if age := now.Sub(b.since); !b.since.IsZero() && age > limit {
			return fmt.Sprintf("handler call for %s has run for %v, over timeouts.handler %v",
				address(key.kind, nil, key.id), age.Round(time.Millisecond), limit)
		}
	}
	return ""
}
