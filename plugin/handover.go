package plugin

import (
	"context"

	"github.com/antano/antano/plugin/internal/hub"
)

// AllSlots asks MoveOut for every client, those of no slot too.
const AllSlots = ^uint64(0)

// ErrMoved is what Client.Receive and Client.Take return while the client is being
// handed over: the message was not taken and not counted. It goes with the client, and
// the process that has it next receives it first. After a MoveBack it is received again.
var ErrMoved = hub.ErrMoved

// Handover is a Service whose clients can move to another process of the service
// without noticing; Description.Handover must be true. MoveOut and MoveBack take turns,
// and so do calls of MoveIn; they come between the return of Start and Stop. Byte slices
// passed either way are not kept. Source: docs/protocol.md "Moves".
type Handover interface {
	// MoveOut stops reading the clients on the given slots (AllSlots: every client, and
	// it takes no new ones), and calls give for each with what MoveIn needs: state, and
	// the connection's descriptor, which give duplicates, or -1. By then the client is not
	// read and no call of Receive or Take for it is under way; what they answered with
	// ErrMoved is in its state. Clients that are ending stay, as does one for which give
	// returns an error. What is queued for the clients goes on being written through their
	// Writers, until the SDK interrupts and closes these. An error gives the move up:
	// MoveBack follows.
	MoveOut(ctx context.Context, slots uint64, give func(c Client, state []byte, fd int) error) error
	// MoveBack reads on what MoveOut stopped, and takes new clients again: the successor
	// is gone. It does not block.
	MoveBack()
	// MoveIn makes a client of what MoveOut (or KeptWriter) gave; fd is its own from now
	// on, also when it fails. attach registers it under the id it had. It is not read
	// before resume is called, which may never be: the Writer is closed then. What w
	// implements for other clients it implements for this one.
	MoveIn(state []byte, fd int, attach func(e Endpoint, address string, w Writer) (Client, error)) (resume func(), err error)
}

// KeptWriter is the Writer of a datagram source that the manager keeps over a crash of
// the process. Kept returns its slot and the state for MoveIn (at most 1024 bytes, fd -1);
// it must not block.
type KeptWriter interface {
	Kept() (slot int, state []byte)
}

// InterruptedWriter is the Writer of a client that can be handed over while a Write waits.
// Interrupt is called once, from another goroutine than Write's: a Write that waits, and
// every later one, returns how many bytes the transport accepted and ErrWouldBlock.
type InterruptedWriter interface {
	Interrupt()
}
