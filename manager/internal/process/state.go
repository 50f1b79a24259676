package process

import (
	"fmt"
	"slices"

	"github.com/antano/antano/manager/internal/event"
)

// moves are the legal ones. A process that hangs is draining while it is aborted. From
// ready to ready, a new generation has replaced the old one.
var moves = [...][]event.State{
	event.Stopped:  {event.Starting},
	event.Starting: {event.Ready, event.Draining, event.Starting, event.Backoff, event.Failed, event.Stopped},
	event.Ready:    {event.Ready, event.Draining, event.Starting, event.Backoff, event.Failed, event.Stopped},
	event.Draining: {event.Ready, event.Starting, event.Backoff, event.Failed, event.Stopped},
	event.Backoff:  {event.Starting, event.Stopped},
	event.Failed:   {event.Starting, event.Stopped},
}

func checkMove(from, to event.State) {
	if !slices.Contains(moves[from], to) {
		panic(fmt.Sprintf("process: illegal move from %s to %s", from, to))
	}
}
