// Package event is the leaf that the manager's packages share: who a process is,
// which state it is in, how it ended, and the bus on which that is told.
package event

import (
	"fmt"
	"time"
)

// Ref names one start of one process.
type Ref struct {
	Service    int64
	Name       string // of the service
	Process    int
	Generation int
	PID        int // 0 while there is none
}

func (r Ref) String() string { return fmt.Sprintf("%s/%d", r.Name, r.Process) }

// State is the state of a process. Source: docs/architecture.md "Supervision".
type State uint8

// The states.
const (
	Stopped State = iota
	Starting
	Ready
	Draining
	Backoff
	Failed
)

var stateNames = [...]string{"stopped", "starting", "ready", "draining", "backoff", "failed"}

func (s State) String() string { return stateNames[s] }

// Exit is how a process ended, with the evidence. Code and Signal are -1 and empty
// where they do not apply; both are so when the status could not be known.
type Exit struct {
	Code   int
	Signal string
	Cause  string        // one sentence for people: the panic text, the failed step
	Uptime time.Duration // since exec
	At     time.Time
	Stderr []string // the last lines, newest last
}
