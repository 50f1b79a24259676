package ledger

import (
	"slices"
	"strings"
	"time"
)

// Totals are the columns of the ledger, in copies, and the promises that were broken.
type Totals struct {
	Sent           int `json:"sent"`
	Delivered      int `json:"delivered"`       // seen by the receiver; or accepted by the socket of one whose connection ended
	Reported       int `json:"reported"`        // to the sender, as an error or among the failed of a receipt
	Counted        int `json:"counted"`         // as a drop in the status
	WithConnection int `json:"with_connection"` // that the fault ended, of the sender or the receiver
	WithProcess    int `json:"with_process"`    // that the fault ended: a datagram source's or a handler's
	WithManager    int `json:"with_manager"`    // that the fault ended, without an id
	Lost           int `json:"lost"`            // silently

	Duplicated   int           `json:"duplicated"`
	Reordered    int           `json:"reordered"`
	Unanswered   int           `json:"unanswered"`   // with an id, the sender's connection lives
	Contradicted int           `json:"contradicted"` // delivered though the answer says not, or the reverse
	Broken       int           `json:"broken"`       // promises, all of these together, and answers given twice
	SlowestReply time.Duration `json:"slowest_reply_ns"`
	Notes        []string      `json:"notes,omitempty"` // the first broken promises
}

// latest is when an answer is due; the margin is for the harness itself.
const latest = 5*time.Second + 500*time.Millisecond

// column is where a copy ends if no drop was counted for it.
type column int

const (
	none column = iota
	withConnection
	withProcess
	withManager
)

// reckoning sorts the copies.
type reckoning struct {
	b    *Book
	t    Totals
	open map[column][]string
	mute []string // datagrams with an id and no answer
}

// Drops is what the status counted meanwhile.
type Drops struct {
	All    int // by any reason
	Kernel int // of these, datagrams that nobody but the kernel has seen
	Gone   int // of these, because somebody was gone: what no fault concerns is not among them
}

// Close sorts all copies into columns. Drops are charged for copies without an answer,
// to those first that nothing else explains. The book may go on and be closed again.
func (b *Book) Close(d Drops) Totals {
	b.mu.Lock()
	defer b.mu.Unlock()
	r := reckoning{b: b, t: b.totals, open: map[column][]string{}}
	r.t.Notes = slices.Clone(b.totals.Notes)
	for _, m := range b.messages {
		r.message(m)
	}
	drops, lost := d.All, r.open[none]
	r.unanswered(d.Kernel)
	counted := min(d.All-d.Gone, len(lost))
	r.t.Counted += counted
	r.t.Lost = len(lost) - counted
	drops -= counted
	for c, to := range map[column]*int{withConnection: &r.t.WithConnection, withProcess: &r.t.WithProcess, withManager: &r.t.WithManager} {
		counted := min(drops, len(r.open[c]))
		drops -= counted
		r.t.Counted += counted
		*to += len(r.open[c]) - counted
	}
	if r.t.Lost > 0 {
		slices.Sort(lost)
		r.note(strings.Join(lost[:min(len(lost), 10)], "; "))
	}
	return r.t
}

func (r *reckoning) note(text string) {
	if len(r.t.Notes) < 2*maxNotes {
		r.t.Notes = append(r.t.Notes, text)
	}
}

// message sorts the copies of one message.
func (r *reckoning) message(m *Message) {
	seen := len(m.extra)
	for i := range m.copies {
		if m.copies[i].seen {
			seen++
		}
	}
	if m.void && seen == 0 {
		return
	}
	r.answer(m, seen)
	failed := failures(m, len(m.copies))
	accepted := m.answer.Delivered - seen
	for i := range m.copies {
		d := &m.copies[i]
		r.t.Sent++
		switch {
		case d.seen:
			r.t.Delivered++
		case m.answers > 0 && failed > 0:
			failed--
			r.t.Reported++
		case m.answers > 0 && accepted > 0 && !d.to.ended.IsZero():
			accepted--
			r.t.Delivered++
		default:
			c := r.excuseOf(m, d.to)
			r.open[c] = append(r.open[c], m.String()+" for "+d.to.Name)
		}
	}
}

// failures is how many copies the answer reports as failed.
func failures(m *Message, copies int) (n int) {
	if m.answer.Code != "" {
		return copies
	}
	for _, k := range m.answer.Failed {
		n += k
	}
	return n
}

// answer checks what was answered against what arrived.
func (r *reckoning) answer(m *Message, seen int) {
	if !m.ID {
		return
	}
	if m.answers == 0 {
		switch {
		case !m.waits() || r.silenced(m):
		case m.From.Stream:
			r.left(m.String())
		default:
			r.mute = append(r.mute, m.String())
		}
		return
	}
	took := m.answered.Sub(m.at)
	r.t.SlowestReply = max(r.t.SlowestReply, took)
	if took > latest && !r.silenced(m) { // it may have waited to be read, in the kernel
		r.t.Broken++
		r.note(m.String() + " was answered after " + took.String())
	}
	doubt := m.answer.Failed["timeout"] + m.answer.Failed["process_lost"]
	if unknown(m.answer.Code) {
		doubt = seen
	}
	if seen > m.answer.Delivered+doubt {
		r.t.Contradicted++
		r.t.Broken++
		r.note(m.String() + " was delivered, and answered " + m.answer.String())
	}
}

func (r *reckoning) left(message string) {
	r.t.Unanswered++
	r.t.Broken++
	r.note(message + " has no answer")
}

// unanswered counts the datagrams without an answer beyond those that the kernel dropped.
func (r *reckoning) unanswered(kernel int) {
	slices.Sort(r.mute)
	for _, m := range r.mute[min(kernel, len(r.mute)):] {
		r.left(m)
	}
}

func (a *Answer) String() string {
	if a.Code != "" {
		return a.Code
	}
	return "with a receipt for fewer copies"
}

// silenced reports whether the sender is a datagram source whose process crashed.
func (r *reckoning) silenced(m *Message) bool {
	return !m.From.Stream && r.b.struck(m.From, m.at)
}

// excuseOf says which column a copy that nobody saw belongs to, if no drop was counted
// for it.
func (r *reckoning) excuseOf(m *Message, to *Client) column {
	b := r.b
	switch {
	case m.From.Stream && b.cut(m.From, m.at), to.Stream && b.cut(to, m.at):
		return withConnection
	case !m.From.Stream && b.struck(m.From, m.at), !to.Stream && b.struck(to, m.at), b.handlerStruck(m):
		return withProcess
	}
	for _, f := range b.faults {
		if f.Cause == Manager && !m.ID && f.took(m.at) {
			return withManager
		}
	}
	return none
}

// cut reports whether the connection of c ended around then, or while its process
// was down, such as one that hung before it was killed.
func (b *Book) cut(c *Client, at time.Time) bool {
	return !c.ended.IsZero() && at.Before(c.ended.Add(slack)) && (at.After(c.ended.Add(-slack)) || b.struck(c, at))
}

// HandlerAddress is the address of a service's handler, as Sent takes it.
func HandlerAddress(service string) string { return "handler of " + service }

// handlerStruck reports whether m went to a handler of which a process crashed.
func (b *Book) handlerStruck(m *Message) bool {
	for _, f := range b.faults {
		if f.Cause == Crash && m.to == HandlerAddress(f.Service) && f.took(m.at) {
			return true
		}
	}
	return false
}

// Counts is the part of Totals that can be compared.
func (t Totals) Counts() [12]int {
	return [...]int{t.Sent, t.Delivered, t.Reported, t.Counted, t.WithConnection, t.WithProcess, t.WithManager, t.Lost,
		t.Duplicated, t.Reordered, t.Unanswered, t.Broken}
}
