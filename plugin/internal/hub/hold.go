package hub

import (
	"github.com/antano/antano/plugin/internal/transfer"
)

// holds are the senders whose handler calls wait, because an earlier process of theirs
// has not made its last ones. The lock of the mailboxes guards it.
type holds struct {
	by      map[*incoming]map[source]struct{} // nil: every sender
	changed chan struct{}
}

// hold keeps the calls of all senders back until free says otherwise.
func (b *mailboxes) hold(in *incoming) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.holds.by == nil {
		b.holds.by = map[*incoming]map[source]struct{}{}
	}
	b.holds.by[in] = nil
}

// free lets all senders go on but those in busy.
func (b *mailboxes) free(in *incoming, busy []transfer.Sender) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if _, ok := b.holds.by[in]; !ok {
		return
	}
	delete(b.holds.by, in)
	if len(busy) > 0 {
		set := make(map[source]struct{}, len(busy))
		for _, s := range busy {
			set[source{s.Kind, s.ID}] = struct{}{}
		}
		b.holds.by[in] = set
	}
	if b.holds.changed != nil {
		close(b.holds.changed)
		b.holds.changed = nil
	}
}

// heldBack returns nil when a sender's calls may be made, or else what is closed when to
// ask again. The lock is held.
func (b *mailboxes) heldBack(key source) <-chan struct{} {
	for _, busy := range b.holds.by {
		if _, held := busy[key]; held || busy == nil {
			if b.holds.changed == nil {
				b.holds.changed = make(chan struct{})
			}
			return b.holds.changed
		}
	}
	return nil
}

// senders are those with calls that wait or run.
func (b *mailboxes) senders() []transfer.Sender {
	b.mu.Lock()
	defer b.mu.Unlock()
	list := make([]transfer.Sender, 0, len(b.m))
	for key := range b.m {
		list = append(list, transfer.Sender{Kind: key.kind, ID: key.id})
	}
	return list
}
