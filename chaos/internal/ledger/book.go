package ledger

import (
	"fmt"
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
	faults   []Fault
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
	Until   time.Time // when it was ready again
}

// slack is how long before a fault a message may have been sent that it took along:
// push-back holds one for a second. What is owed for longer is no victim of it.
const slack = 1200 * time.Millisecond

// Happened notes a fault.
func (b *Book) Happened(f Fault) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.faults = append(b.faults, f)
}

// took reports whether the fault can have taken what was sent then.
func (f *Fault) took(at time.Time) bool {
	return at.After(f.From.Add(-slack)) && at.Before(f.Until.Add(slack))
}

// struck reports whether a process that serves c crashed around then.
func (b *Book) struck(c *Client, at time.Time) bool {
	for i := range b.faults {
		f := &b.faults[i]
		if f.Cause == Crash && f.Service == c.Service && f.Process == c.process && f.took(at) {
			return true
		}
	}
	return false
}
