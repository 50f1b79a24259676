package manager

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/antano/antano/manager/internal/event"
	"github.com/antano/antano/manager/internal/process"
	"github.com/antano/antano/manager/internal/restart"
)

// keptExits is how many exits of a process are remembered.
const keptExits = 10

// evidence is what is remembered of a process over its generations, for Why. Safe for
// concurrent use.
type evidence struct {
	mu       sync.Mutex
	exits    []ProcessExit    // newest first
	decision restart.Decision // about the last unplanned exit
	decided  bool
	misses   int    // health checks in a row that failed
	failing  string // what the last of them said
}

// moved takes the exit of a move of the state machine.
func (v *evidence) moved(e process.Event) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if e.State == event.Starting && !e.Aside {
		v.misses, v.failing = 0, ""
	}
	if e.Exit == nil {
		return
	}
	exit := ProcessExit{LastExit: *lastExit(e.Exit), Generation: e.Ended.Generation, PID: e.Ended.PID}
	kept := v.exits[:min(len(v.exits), keptExits-1)]
	v.exits = append([]ProcessExit{exit}, kept...)
}

// decide takes what was decided about an unplanned exit.
func (v *evidence) decide(d restart.Decision) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.decision, v.decided = d, true
}

// asked takes the outcome of a health check of limit, and returns it.
func (v *evidence) asked(failing string, err error, limit time.Duration) (string, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	switch {
	case errors.Is(err, context.Canceled): // it is stopped meanwhile
	case errors.Is(err, context.DeadlineExceeded):
		v.misses, v.failing = v.misses+1, fmt.Sprintf("no answer within %s", limit)
	case err != nil:
		v.misses, v.failing = v.misses+1, err.Error()
	case failing != "":
		v.misses, v.failing = v.misses+1, failing
	default:
		v.misses, v.failing = 0, ""
	}
	return failing, err
}
