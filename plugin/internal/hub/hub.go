package hub

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/antano/antano/plugin/internal/metric"
	"github.com/antano/antano/plugin/internal/share"
	"github.com/antano/antano/plugin/internal/transfer"
	"github.com/antano/antano/shared"
	"github.com/antano/antano/shared/wire"
)

// Relay is the link to the manager. Its methods do not block.
type Relay interface {
	// NextClient returns an id that no client ever had.
	NextClient() (shared.ClientID, bool)
	// Message queues a message; the error is wire.ErrFull or wire.ErrClosed.
	Message(*wire.Message) error
	// Control queues a frame that must not be dropped.
	Control(encode func(dst []byte) []byte) error
	// Space is closed when messages fit again.
	Space() <-chan struct{}
	// Flush writes what was queued.
	Flush()
	// Ranges are the client ids that this process answers for. Inherit adds to them,
	// Renounce leaves them to another process.
	Ranges() []wire.Range
	Inherit([]wire.Range)
	Renounce()
}

// Handler is the service's own handler.
type Handler func(ctx context.Context, m *shared.Message) (response any, err error)

// Config is what a hub is made of. All fields but the last three are obligatory.
type Config struct {
	Identity       shared.Identity
	Params         shared.ServiceParams
	PushBack       time.Duration // how long a stream source may be held back
	HandlerTimeout time.Duration // 0: none
	Window         int           // bytes of one lane in the manager's queues
	Relay          Relay
	Page           *share.Page
	Log            *slog.Logger
	Handler        Handler   // nil: messages to the service are `unsupported`
	Transport      Transport // nil: clients do not move
	// Dial opens the transfer connection of a move; nil: nothing moves.
	Dial func(ctx context.Context, move uint64) (*transfer.Conn, error)
}

// Hub connects the clients of one process with the relay link.
type Hub struct {
	cfg      Config
	relay    Relay
	page     *share.Page
	log      *slog.Logger
	pending  pendings
	open     owedList
	lanes    lanes
	pauses   pauses
	groups   groups
	jobs     mailboxes
	pushed   pushed
	retiring retiring
	moves    moves
	clock    clock
	metrics  metric.Set
	misnamed sync.Once // a metric that was refused

	// For the link's reader alone.
	dirty             []*Client // with output
	object, converted []byte    // what build is making
	made              []built   // of one group message, for each endpoint

	unread atomic.Bool  // clients are not read any more, and never will be
	queued atomic.Int64 // bytes in all output and handler queues
	items  atomic.Int64 // messages in all output queues

	mu       sync.Mutex
	clients  map[shared.ClientID]*Client
	draining bool
	left     bool // its clients are moving away, or have
	closed   bool
	wg       sync.WaitGroup // every goroutine of the hub

	ctx    context.Context // ends with Close, for handlers
	cancel context.CancelFunc
}

// New returns a running hub. Close ends it.
func New(cfg Config) *Hub {
	h := &Hub{cfg: cfg, relay: cfg.Relay, page: cfg.Page, log: cfg.Log, clients: map[shared.ClientID]*Client{}}
	h.ctx, h.cancel = context.WithCancel(context.Background())
	if cfg.Transport != nil {
		h.cfg.Transport = guarded{cfg.Transport, h}
	}
	h.pending.init(cfg.Params.Limits.ProcessQueueBytes)
	h.lanes.init(cfg.Window)
	h.clock.init()
	h.moves.init()
	h.wg.Go(h.tick)
	return h
}

// Params returns the service's row.
func (h *Hub) Params() shared.ServiceParams { return h.cfg.Params }

// PushBack returns how long a message may be held back.
func (h *Hub) PushBack() time.Duration { return h.cfg.PushBack }

// HandlerTimeout returns how long a handler may take.
func (h *Hub) HandlerTimeout() time.Duration { return h.cfg.HandlerTimeout }

// Identity returns which process this is.
func (h *Hub) Identity() shared.Identity { return h.cfg.Identity }

// Logger returns the log.
func (h *Hub) Logger() *slog.Logger { return h.log }

// AboveShare reports whether this process has more clients than its part, or the service
// has all it may have.
func (h *Hub) AboveShare() bool {
	return h.page.AboveShare() || h.page.Full(h.cfg.Params.Limits.MaxClients)
}

// CountDrop counts what was discarded before it became a client's message.
func (h *Hub) CountDrop(code shared.Code, n int) { h.page.Drop(code, n) }

// self is the service as an entity.
func (h *Hub) self() shared.Address {
	return shared.Address{Entity: shared.EntityService, ID: h.cfg.Identity.ServiceID}
}

// spawn runs f in a goroutine that Close waits for, and reports false when the hub
// is closed.
func (h *Hub) spawn(f func()) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return false
	}
	h.wg.Go(f)
	return true
}

var errStopped = errors.New("the service is stopped")

// Close ends all clients and their writers, cancels the handlers and waits until
// every goroutine is gone, or until ctx ends.
func (h *Hub) Close(ctx context.Context) error {
	h.mu.Lock()
	h.closed, h.draining = true, true
	h.mu.Unlock()
	h.cancel()
	h.clock.stop()
	for _, c := range h.snapshot() {
		c.end(errStopped)
	}
	h.tellMetrics(h.metrics.Rest())
	h.relay.Flush()
	gone := make(chan struct{})
	go func() { h.wg.Wait(); close(gone) }()
	select {
	case <-gone:
		return nil
	case <-ctx.Done():
		return errors.New("stop: a handler or a writer did not return in time")
	}
}

// snapshot returns the clients of this moment.
func (h *Hub) snapshot() []*Client {
	h.mu.Lock()
	defer h.mu.Unlock()
	all := make([]*Client, 0, len(h.clients))
	for _, c := range h.clients {
		all = append(all, c)
	}
	return all
}

func (h *Hub) client(id shared.ClientID) *Client {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.clients[id]
}
