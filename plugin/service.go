package plugin

import (
	"context"
	"log/slog"
	"time"

	"github.com/antano/antano/plugin/internal/hub"
	"github.com/antano/antano/shared"
)

// Service is what a plugin author writes: one service type. Describe may be called
// before Start and on a process that is never started; Start, Drain and Stop are
// each called once, in that order, never concurrently. Source: docs/protocol.md
// "Life of a process"; the seed's start and stop.
type Service interface {
	// Describe says what the plugin is. It must not block or open anything.
	Describe() shared.Description
	// Start opens the service for clients and returns once it serves. It must not
	// keep ctx, which ends with the call. An *shared.Error or any other error fails
	// the start; wrong configuration is better told by ConfigError.
	Start(ctx context.Context, host Host) error
	// Stop closes everything at once and returns when all goroutines are gone.
	Stop(ctx context.Context) error
}

// Drainer is a Service that can stop taking new clients while it goes on serving
// those it has. Drain returns when no new client is taken any more; the SDK then
// waits for answers owed and output queued.
type Drainer interface {
	Drain(ctx context.Context) error
}

// Handler is a Service with a handler of its own for messages to `service/<id>`
// (Description.Handler must be true). It is called in the order of the messages of
// one sender, concurrently for different senders. A returned response that is not
// nil goes back to the sender as a message, with `in_reply_to` when there was an
// id; []byte and json.RawMessage, also m.Value itself, go out as they are in the format
// of m, anything else is encoded. An error answers the sender with its code (*shared.Error) or
// `unsupported`. Source: the seed's on_received_message.
type Handler interface {
	OnReceivedMessage(ctx context.Context, m *shared.Message) (response any, err error)
}

// HealthChecker is a Service that knows when one of its loops hangs. Health is
// called every few seconds, must not block, and its error is what the operator
// reads.
type HealthChecker interface {
	Health() error
}

// SlotReader is a Service that reads slots: the datagram sockets that all processes
// of a service inherit and of which each reads a part. AssignSlots reads exactly the
// slots whose bits are set from now on and returns once it has stopped reading all
// others; it is called after Start, and again whenever the part changes.
type SlotReader interface {
	AssignSlots(slots uint64) error
}

// Host is the manager as a service sees it. All methods are safe for concurrent use
// from Start until Stop returns.
type Host interface {
	// Params is the service's row with every default filled in; MaxClients is of all
	// processes together.
	Params() shared.ServiceParams
	// PushBack is how long a message may be held back for a full destination (params
	// `push_back`); 0: not at all.
	PushBack() time.Duration
	// HandlerTimeout is how long a call of the author's code may take before health
	// fails (params `timeouts.handler`); 0: any time.
	HandlerTimeout() time.Duration
	// Identity says which process this is.
	Identity() shared.Identity
	// Logger writes to the manager's log, tagged with the identity. It never waits: what
	// a manager that hangs, or is gone, does not read is dropped and counted, beyond
	// 256 KiB. A print to os.Stderr or os.Stdout waits, from 64 KiB on.
	Logger() *slog.Logger
	// Sockets are the inherited sockets, already bound and listening. They stay
	// the manager's: duplicate before closing, and never clear O_NONBLOCK.
	Sockets() []Socket
	// NewEndpoint declares a kind of client: its formats, framing and bounds.
	NewEndpoint(EndpointConfig) (Endpoint, error)
	// PassThroughMessage sends message to an entity on behalf of the service and
	// waits for what becomes of it. []byte and json.RawMessage are taken as JSON,
	// anything else is encoded as JSON. processID is shared.AnyProcess or restricts.
	// The error is a *shared.Error when no copy was delivered. Source: the seed's
	// pass_through_message.
	PassThroughMessage(ctx context.Context, to shared.Address, processID int, message any) (shared.Receipt, error)
	// AboveShare reports whether this process has more clients than its part of
	// what all ready processes of the service have, or the service has all it may
	// have: a listener then leaves the next connection to its siblings for a moment.
	AboveShare() bool
	// Go runs f in a goroutine that the SDK waits for when the process stops, after Stop
	// has returned and every client and its Writer are closed. A panic in f is logged with
	// its stack, counted, and ends f alone: let each connection have its own. false: the
	// process stops, f does not run.
	Go(f func()) bool
	// Count adds n to a counter of the author's, Gauge sets a gauge: both are in
	// `antano status --json` under `metrics`. Names are of a-z, 0-9 and '_', a letter
	// first, at most 64 bytes and 256 names. The manager is told once a second. The counter
	// `panics` counts what the SDK recovered of the author's code. Source:
	// docs/protocol.md "metric".
	Count(name string, n int64)
	Gauge(name string, v int64)
	// CountDrop counts what a transport discarded before it became a client's
	// message. Source: docs/control.md "Process".
	CountDrop(code shared.Code, n int)
}

// Socket is an inherited descriptor and its name: "tcp", "unix", "slot-0" …
type Socket struct {
	Name string
	FD   int
}

// EndpointConfig describes the clients of one transport.
type EndpointConfig struct {
	// FormatIn and FormatOut default to those of the params.
	FormatIn, FormatOut shared.FormatID
	// Datagram: the sources cannot wait, so nothing pushes back on them, and
	// errors without an id are limited to 100 a second for each.
	Datagram bool
	// Frame appends payload to dst as it goes over the wire; nil sends payloads
	// bare. An *shared.Error (unsupported, too_large) refuses the message.
	Frame func(dst, payload []byte) ([]byte, error)
	// MaxFrame is the largest framed message that the transport carries; 0: any.
	MaxFrame int
}

// Endpoint makes clients.
type Endpoint interface {
	// Connect registers a client and gives it an id. address is for people. w is
	// the way out; nil for a source that cannot be answered, which cannot join. The
	// error is `overloaded` above max_clients, `shutting_down` while draining.
	Connect(address string, w Writer) (Client, error)
}

// Client is one peer of the service. One goroutine at a time calls Receive,
// ReceiveAs and Flush; the rest is safe for concurrent use.
type Client interface {
	// ID is the client's id.
	ID() shared.ClientID
	// Receive takes one message as the client sent it, without framing, and does
	// what it says. It blocks while the destination pushes back, at most
	// `push_back`. payload is not kept. What is wrong with the message is answered
	// and counted here; the error says only that the client is closed, or is ErrMoved.
	Receive(payload []byte) error
	// ReceiveAs is Receive of a message in another format than EndpointConfig.FormatIn,
	// for transports that say with each message what it is in.
	ReceiveAs(f shared.FormatID, payload []byte) error
	// Take counts a message of size bytes that the service handles itself instead of
	// giving it to Receive. Until done is called the client is owed an answer, which a
	// drain waits for; call it once, from any goroutine. The error is `shutting_down`
	// after Retire, a *shared.Error, or ErrMoved, else it says that the client is closed.
	Take(size int) (done func(), err error)
	// Reject answers and counts what never became a message: a frame too large.
	Reject(code shared.Code, text string)
	// Flush writes what Receive produced: call it when the input runs dry.
	Flush()
	// Send frames message with EndpointConfig.Frame, as every message, queues it for
	// this client and writes it as far as that does not block; message is not kept. It
	// is for services that speak a protocol of their own: no object is built around it
	// and it is not converted. The error is a *shared.Error: `overloaded` when the
	// queue is full, what Frame says, `too_large` over MaxFrame, `no_such_entity` when
	// the client is closed, `unsupported` when it cannot be answered.
	Send(message []byte) error
	// LastReceived is when the client last sent anything, as Unix nanoseconds: of what was
	// given to Receive since the last Flush, the first.
	LastReceived() int64
	// Owed reports whether an answer is owed to the client or output is queued for
	// it: a peer that sends nothing more is kept while that is so.
	Owed() bool
	// Retire ends the client in good order, without waiting: it leaves its groups at
	// once, and when nothing is owed to it and nothing unsent any more, at the latest
	// after 5 s, it and its Writer are closed. Until then Receive and Take wait for that
	// end; what a datagram source still sends is `shutting_down`. cause is for the log.
	Retire(cause error)
	// Close forgets the client: it leaves its groups, and what is queued for it
	// fails. It does not close the Writer. cause is for the log.
	Close(cause error)
}

// ErrWouldBlock is returned by a Writer that was asked not to wait and took less
// than everything.
var ErrWouldBlock = hub.ErrWouldBlock

// Writer is the way out to one client. Calls never overlap.
type Writer interface {
	// Write sends the messages, each framed, in order, and returns how many bytes
	// of them the transport accepted. With wait false it must not block and returns
	// ErrWouldBlock when it stopped early; with wait true it blocks until all is
	// out. An *shared.Error refuses the message at which it stopped, and the next
	// call starts behind it; any other error ends the client. The messages are neither
	// changed nor looked at after Write has returned: their memory is used again.
	Write(messages [][]byte, wait bool) (n int, err error)
	// Close ends the connection, and a Write that waits.
	Close() error
}

// UnsentWriter is a Writer whose Close may destroy bytes that it has accepted. Unsent is
// how many of them the peer has not got yet and is worth waiting for; it is asked again
// and again once a retired client has no output any more, which is closed when it is 0. So
// the Writer may end its half of the connection at the first question.
type UnsentWriter interface {
	Unsent() int
}
