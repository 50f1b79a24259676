package peer

import (
	"bytes"
	"fmt"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/antano/antano/shared"
	"github.com/antano/antano/shared/control"
	"github.com/antano/antano/shared/wire"
)

const (
	// Window is the byte window that links are granted.
	Window         = 1 << 20
	sequences      = 4096
	queueBytes     = 64 << 20
	pushBack       = time.Second
	handlerTimeout = 30 * time.Second
)

// Manager accepts links and routes between them.
type Manager struct {
	Secret   [wire.SecretSize]byte
	serverID uint8
	listener *net.UnixListener
	wg       sync.WaitGroup

	mu       sync.Mutex
	links    map[uint16]*link   // by process: the one that serves
	services map[int64][]uint16 // the processes of each
	next     map[uint16]*link   // its successor, up to a move
	all      map[*link]struct{}
	hosts    map[uint16]*link          // by process in a client's id, if another one has them
	moved    map[shared.ClientID]*link // clients that another process has
	moves    map[uint64]*move
	up       chan struct{} // closed and replaced when a link comes up or goes down
	groups   map[string]map[*link]bool
	open     map[uint64]*open
	token    uint64
	nextID   uint32
	closed   bool
}

// open is a message whose results are awaited.
type open struct {
	source *link
	token  uint64
	kind   wire.Kind
	at     []*link // that have not answered
	sum    wire.Result
}

// Listen starts a manager at the socket path.
func Listen(path string, serverID uint8) (*Manager, error) {
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", path, err)
	}
	m := &Manager{
		serverID: serverID, listener: l, links: map[uint16]*link{}, services: map[int64][]uint16{}, up: make(chan struct{}),
		next: map[uint16]*link{}, all: map[*link]struct{}{}, hosts: map[uint16]*link{}, moved: map[shared.ClientID]*link{}, moves: map[uint64]*move{},
		groups: map[string]map[*link]bool{}, open: map[uint64]*open{}, nextID: 1,
	}
	for i := range m.Secret {
		m.Secret[i] = byte(i)
	}
	m.wg.Go(m.accept)
	return m, nil
}

// Path is the socket that processes dial.
func (m *Manager) Path() string { return m.listener.Addr().String() }

// Start is what a process is told so that it connects to this manager.
func (m *Manager) Start(params shared.ServiceParams, process int) control.Start {
	m.Serves(params.ID, uint16(process))
	return control.Start{
		Identity: shared.Identity{
			ServerID: int(m.serverID), ServiceID: params.ID, ProcessID: process, Generation: 1, Service: params.Name,
		},
		Params: params, RelaySocket: m.listener.Addr().String(), Secret: m.Secret,
		ShareRow: 0, ShareRows: 1, PushBack: pushBack, HandlerTimeout: handlerTimeout,
	}
}

// Serves notes that a process is one of a service, which messages for that go to.
func (m *Manager) Serves(service int64, process uint16) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !slices.Contains(m.services[service], process) {
		m.services[service] = append(m.services[service], process)
	}
}

// Close ends all links and waits for their goroutines.
func (m *Manager) Close() {
	m.listener.Close()
	m.mu.Lock()
	m.closed = true
	for l := range m.all {
		l.conn.Close()
	}
	for _, v := range m.moves {
		v.close()
	}
	m.mu.Unlock()
	m.wg.Wait()
}

func (m *Manager) accept() {
	for {
		conn, err := m.listener.AcceptUnix()
		if err != nil {
			return
		}
		m.wg.Go(func() {
			defer conn.Close()
			m.serve(conn)
		})
	}
}

// changed tells who waits for links. The lock is held.
func (m *Manager) changed() {
	close(m.up)
	m.up = make(chan struct{})
}

// welcome proves a link and gives it its first sequences.
func (m *Manager) welcome(l *link, f wire.Frame) bool {
	var h wire.Hello
	if f.Type != wire.TypeHello && f.Type != wire.TypeRejoin || h.Parse(f.Body) != nil || !bytes.Equal(h.Secret[:], m.Secret[:]) {
		return false
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return false
	}
	l.process, l.generation = h.Process, h.Generation
	w := wire.Welcome{Version: shared.ProtocolVersion, Server: m.serverID, Sequences: m.grantLocked(), Window: Window}
	l.control(func(dst []byte) []byte { return wire.AppendWelcome(dst, &w) })
	m.all[l] = struct{}{}
	if m.links[l.process] == nil {
		m.links[l.process] = l
	} else {
		m.next[l.process] = l
	}
	m.changed()
	return true
}

func (m *Manager) grantLocked() wire.Sequences {
	s := wire.Sequences{First: m.nextID, Count: sequences}
	m.nextID += sequences
	return s
}

func (m *Manager) forget(l *link) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.all, l)
	for _, byProcess := range []map[uint16]*link{m.links, m.next, m.hosts} {
		for p, known := range byProcess {
			if known == l {
				delete(byProcess, p)
			}
		}
	}
	m.changed()
	for _, members := range m.groups {
		delete(members, l)
	}
	for token, o := range m.open {
		if slices.Contains(o.at, l) {
			var r wire.Result
			if o.kind != wire.KindGroup { // else it has left its groups: there was nobody
				r.Fail(shared.CodeProcessLost, 1)
			}
			m.settle(token, l, &r)
		}
	}
}
