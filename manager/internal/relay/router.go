package relay

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/antano/antano/shared"
	"github.com/antano/antano/shared/wire"
)

// What a zero Config means.
const (
	DefaultWindow     = 1 << 20
	DefaultQueueLimit = 64 << 20
)

const (
	// sequencesAtATime is how many client sequences one grant holds.
	sequencesAtATime = 4096
	// grantsNoted is how many a process may get before they are to be noted.
	grantsNoted = 1 << 20
)

// Config is what a Router is made of.
type Config struct {
	ServerID uint8
	// Window is how many bytes one lane of one process may have in the queues of
	// the router; 0 means DefaultWindow.
	Window uint32
	// OnRefused, which may be nil, is told of every connection that did not become
	// a link. It is called from the connection's goroutine and must not block.
	OnRefused func(error)
	// Held keeps the router from reading messages before Open.
	Held bool
	// OnGrant, which may be nil, is told when a process got many sequences since it was
	// told last: it is time to note Sequences. It must not block.
	OnGrant func()
}

// Router holds the links of one server and routes between them.
type Router struct {
	cfg     Config
	started time.Time

	links    [shared.MaxProcessID + 1]atomic.Pointer[Link]     // the current one of each process
	held     [shared.MaxProcessID + 1]atomic.Pointer[holdings] // who has the clients, by the process in their id
	moved    moved
	up       atomic.Pointer[[]*Link] // all that are up; never changed, only replaced
	services atomic.Pointer[directory]
	groups   groups
	closing  atomic.Bool
	opened   chan struct{} // closed by Open
	unsaid   chan struct{} // some link has messages to acknowledge
	tick     atomic.Uint32 // age of the router in units of sweepEvery
	asleep   atomic.Bool   // nothing is swept
	roused   chan struct{} // it is again

	cut     sync.Mutex  // a cut is under way, or a link comes up
	cutting atomic.Bool // readers wait for cut before their next message

	mu         sync.Mutex // guards what follows, and state and cause of every link
	listed     map[int64][]uint16
	expected   map[launchKey]*Link
	families   map[int]*family             // by process group
	registries map[int64]*registry         // by service
	seats      map[int64]*seats            // by service with a handler
	heirs      map[int64]map[uint16]uint16 // by service: who was handed all that a process had
	moves      map[uint64]*move            // that are not over
	lastMove   uint64
	granted    map[uint16]uint64 // by process: sequences below this one were granted
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
	r := &Router{cfg: cfg, started: time.Now(), expected: make(map[launchKey]*Link), families: make(map[int]*family),
		registries: make(map[int64]*registry), seats: make(map[int64]*seats), heirs: make(map[int64]map[uint16]uint16), moves: make(map[uint64]*move),
		granted: make(map[uint16]uint64)}
	r.opened, r.unsaid, r.roused = make(chan struct{}), make(chan struct{}, 1), make(chan struct{}, 1)
	if !cfg.Held {
		r.Open()
	}
	r.services.Store(&directory{})
	r.up.Store(new([]*Link))
	return r
}

// Launch says which process may come up as a link.
type Launch struct {
	Process    uint16 // at most shared.MaxProcessID
	Generation uint32
	Service    int64
	Secret     [32]byte
	UID        int  // whom the peer must run as
	QueueLimit int  // bytes that may wait for this process; 0 means DefaultQueueLimit
	MaxClients int  // of the service; so many datagram clients are kept over a crash; 0 means 100 000
	Handler    bool // it handles messages to its service
	Adopted    bool // it served an earlier manager and will rejoin
}

// Expect makes the router accept the link of one start of one process, once the
// process was admitted too. Call it before the process is started, and Close on
// the link when the process is reaped or was never started.
func (r *Router) Expect(launch Launch) *Link {
	if launch.QueueLimit == 0 {
		launch.QueueLimit = DefaultQueueLimit
	}
	if launch.MaxClients == 0 {
		launch.MaxClients = defaultMaxClients
	}
	l := &Link{r: r, launch: launch, up: make(chan struct{}), down: make(chan struct{})}
	l.lanes.groups.src = l
	l.alone.links = []*Link{l}
	if launch.Adopted {
		l.expectRejoin()
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.expected[l.key()] = l
	l.sources = r.registryOf(launch.Service)
	return l
}

// Shutdown makes every message that starts something new fail as shutting_down;
// results and the replies of handlers still pass.
func (r *Router) Shutdown() { r.closing.Store(true) }

// grant gives a link a fresh range of client sequences: no other generation of its
// process ever gets them. Count is 0 when all 2^32 are used up. r.mu is held.
func (r *Router) grant(l *Link) wire.Sequences {
	const all = 1 << 32
	next := max(r.granted[l.launch.Process], 1) // sequence 0 is nobody's
	s := wire.Sequences{First: uint32(next), Count: uint32(min(sequencesAtATime, all-next))}
	next += uint64(s.Count)
	r.granted[l.launch.Process] = next
	if next%grantsNoted < uint64(s.Count) && r.cfg.OnGrant != nil {
		r.cfg.OnGrant()
	}
	r.hold(l.launch.Process, s, l)
	return s
}

// arrive makes l one of the links that are up, and the current one of its process if
// there is no other, or only one that drains. r.mu is held.
func (r *Router) arrive(l *Link) {
	l.state = stateUp
	up := append(slices.Clone(*r.up.Load()), l)
	r.up.Store(&up)
	if current := &r.links[l.launch.Process]; current.Load() == nil || current.Load().draining && !l.draining {
		current.Store(l)
	}
	r.relist()
}

// depart takes l out of all tables. Another start of its process that is up becomes
// the current one. r.mu is held.
func (r *Router) depart(l *Link) {
	up := slices.DeleteFunc(slices.Clone(*r.up.Load()), func(o *Link) bool { return o == l })
	r.up.Store(&up)
	sources := r.onSlots(l, allSlots)
	r.bequeath(l, nil)
	r.moved.forget(l)
	r.orphaned(l, sources)
	if current := &r.links[l.launch.Process]; current.Load() == l {
		current.Store(r.newest(l.launch.Process, func(*Link) bool { return true }))
	}
	r.relist()
}

// newest returns the last start of a process among those that are up and fit, nil if
// there is none. r.mu is held.
func (r *Router) newest(process uint16, fits func(*Link) bool) *Link {
	var best *Link
	for _, l := range *r.up.Load() {
		if l.launch.Process == process && (best == nil || l.launch.Generation > best.launch.Generation) && fits(l) {
			best = l
		}
	}
	return best
}
