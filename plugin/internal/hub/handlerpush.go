package hub

import (
	"time"

	"github.com/antano/antano/shared"
	"github.com/antano/antano/shared/wire"
)

// meet notes that a call met its sender's full mailbox, and returns what to tell the
// sender's process. The lock is held.
func (b *mailboxes) meet(m *mailbox, pushBack time.Duration) pause {
	if m.push.until.IsZero() {
		b.full++
	}
	_, p := m.push.meet(time.Now(), pushBack, 0)
	return p
}

// relieved reports whether the sender is to be told to go on, because its mailbox has
// come down to half. The lock is held.
func (b *mailboxes) relieved(m *mailbox, limit int) bool {
	if m.push.relieved(m.bytes, limit) == nil {
		return false
	}
	b.full--
	return true
}

// spent reports whether the budget is used up.
func (p *push) spent(now time.Time) bool { return !p.until.IsZero() && !now.Before(p.until) }

// trim removes and returns the calls above the bound that stand there by push-back.
func (m *mailbox) trim(limit int) (removed []job) {
	sum := m.bytes
	for i := range m.waiting {
		sum -= m.waiting[i].cost()
	}
	keep := m.waiting[:0]
	for _, j := range m.waiting {
		if j.over && sum+j.cost() > limit {
			removed = append(removed, j)
			m.bytes -= j.cost()
			continue
		}
		sum += j.cost()
		keep = append(keep, j)
	}
	clear(m.waiting[len(keep):])
	m.waiting = keep
	return removed
}

// sweepMailboxes drops what stands above the bound of mailboxes whose budget is used up,
// and reports whether any pushes back.
func (h *Hub) sweepMailboxes(now time.Time) (more bool) {
	var failed []job
	h.jobs.mu.Lock()
	if h.jobs.full > 0 {
		for _, b := range h.jobs.m {
			if b.push.spent(now) {
				failed = append(failed, b.trim(h.cfg.Params.Limits.ClientQueueBytes)...)
			}
		}
	}
	more = h.jobs.full > 0
	h.jobs.mu.Unlock()
	for i := range failed {
		h.queued.Add(-int64(failed[i].cost()))
		h.failed(failed[i].owed, failed[i].from, codeOverBound)
	}
	return more
}

// pauseSender tells the process of a sender what its mailbox has room for.
func (h *Hub) pauseSender(t wire.Type, key source, budget time.Duration) {
	f := wire.SenderPause{Service: h.cfg.Identity.ServiceID, Client: shared.ClientID(key.id), Budget: uint32(budget.Milliseconds())}
	h.relay.Control(func(dst []byte) []byte { return wire.AppendSenderPause(dst, t, &f) })
}
