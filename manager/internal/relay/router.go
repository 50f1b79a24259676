package relay

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/antano/antano/shared"
)

// What a zero Config means.
const (
	DefaultWindow     = 1 << 20
	DefaultQueueLimit = 64 << 20
)

// sequencesAtATime is how many client sequences one grant holds.
const sequencesAtATime = 4096

// Config is what a Router is made of.
type Config struct {
	ServerID uint8
	// Window is how many bytes one lane of one process may have in the queues of
	// the router; 0 means DefaultWindow.
	Window uint32
	// OnRefused, which may be nil, is told of every connection that did not become
	// a link. It is called from the connection's goroutine and must not block.
	OnRefused func(error)
}

// Router holds the links of one server and routes between them.
type Router struct {
	cfg     Config
	started time.Time

	links    [shared.MaxProcessID + 1]atomic.Pointer[Link] // up, by process
	granted  [shared.MaxProcessID + 1]atomic.Uint64        // sequences below this one were granted
	services atomic.Pointer[directory]
	groups   groups
	closing  atomic.Bool
	tick     atomic.Uint32 // age of the router in units of sweepEvery

	mu       sync.Mutex // guards what follows, and state and cause of every link
	listed   map[int64][]uint16
	expected map[launchKey]*Link
	families map[int]*family // by process group
}

type launchKey struct {
	process    uint16
	generation uint32
}

// New returns a router without links.
func New(cfg Config) *Router {
	if cfg.Window == 0 {
		cfg.Window = DefaultWindow
	}
	r := &Router{cfg: cfg, started: time.Now(), expected: make(map[launchKey]*Link), families: make(map[int]*family)}
	r.services.Store(&directory{})
	for i := range r.granted {
		r.granted[i].Store(1) // sequence 0 is nobody's
	}
	r.groups.init()
	return r
}

// Launch says which process may come up as a link.
type Launch struct {
	Process    uint16 // at most shared.MaxProcessID
	Generation uint32
	Service    int64
	Secret     [32]byte
	UID        int // whom the peer must run as
	QueueLimit int // bytes that may wait for this process; 0 means DefaultQueueLimit
}

// Expect makes the router accept the link of one start of one process, once the
// process was admitted too. Call it before the process is started, and Close on
// the link when the process is reaped or was never started.
func (r *Router) Expect(launch Launch) *Link {
	if launch.QueueLimit == 0 {
		launch.QueueLimit = DefaultQueueLimit
	}
	l := &Link{r: r, launch: launch, up: make(chan struct{}), down: make(chan struct{})}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.expected[l.key()] = l
	return l
}

// Shutdown makes every message that starts something new fail as shutting_down;
// results and the replies of handlers still pass.
func (r *Router) Shutdown() { r.closing.Store(true) }

// grant takes a fresh range of client sequences for a process: no generation of
// it ever gets them again. Count is 0 when all 2^32 are used up.
func (r *Router) grant(process uint16) (first, count uint32) {
	const all = 1 << 32
	next := &r.granted[process]
	for {
		at := next.Load()
		n := min(sequencesAtATime, all-at)
		if next.CompareAndSwap(at, at+n) {
			return uint32(at), uint32(n)
		}
	}
}

// exists reports whether id was ever within a grant of this server.
func (r *Router) exists(id int64) bool {
	c := shared.ClientID(id)
	return id > 0 && c.Valid() && c.Server() == r.cfg.ServerID && c.Sequence() > 0 &&
		uint64(c.Sequence()) < r.granted[c.Process()].Load()
}
