package ledger

import (
	"fmt"
	"slices"
	"sync"
	"time"
)

type key struct{ from, n int }

// lane is what has an order: what one client gets from another for one address.
type lane struct {
	at, from int
	to       string
}

// maxNotes bounds how many broken promises are described.
const maxNotes = 20

// Book is the ledger of one run.
type Book struct {
	mu       sync.Mutex
	clients  []*Client
	messages map[key]*Message
	last     map[lane]int
	faults   []*Fault
	totals   Totals
}

// New returns an empty book.
func New() *Book {
	return &Book{messages: map[key]*Message{}, last: map[lane]int{}}
}

// broken notes a promise that was broken. b.mu is held.
func (b *Book) broken(format string, args ...any) {
	b.totals.Broken++
	if len(b.totals.Notes) < maxNotes {
		b.totals.Notes = append(b.totals.Notes, fmt.Sprintf(format, args...))
	}
}

// Cause is what a fault takes along.
type Cause int

const (
	// Crash is the end of a process that nobody planned.
	Crash Cause = iota + 1
	// Manager is the end of the manager that nobody planned.
	Manager
)

// Fault is something that was done to the server and excuses losses of its kind.
type Fault struct {
	Cause   Cause
	Service string // Crash: of which service
	Process int    // and which process
	From    time.Time

	until time.Time // when it was over; zero before
}

// slack is how long before a fault a message may have been sent that it took along:
// push-back holds one for a second. What is owed for longer is no victim of it.
const slack = 1200 * time.Millisecond

// Happened notes a fault, before it is done.
func (b *Book) Happened(f Fault) *Fault {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.faults = append(b.faults, &f)
	return &f
}

// Over notes that all is as before the fault.
func (b *Book) Over(f *Fault, at time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	f.until = at
}

// took reports whether the fault can have taken what was sent then.
func (f *Fault) took(at time.Time) bool {
	return at.After(f.From.Add(-slack)) && (f.until.IsZero() || at.Before(f.until.Add(slack)))
}

// struck reports whether a process that serves c crashed around then.
func (b *Book) struck(c *Client, at time.Time) bool {
	for _, f := range b.faults {
		if f.Cause == Crash && f.Service == c.Service && slices.Contains(c.processes, f.Process) && f.took(at) {
			return true
		}
	}
	return false
}

// Excuses reports whether a crash of a process that served c explains that its
// connection ended then.
func (b *Book) Excuses(c *Client, at time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.struck(c, at)
}

// Crashed reports whether a process of the service crashed around then.
func (b *Book) Crashed(service string, at time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.ContainsFunc(b.faults, func(f *Fault) bool { return f.Cause == Crash && f.Service == service && f.took(at) })
}
