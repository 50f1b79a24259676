package manager

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/antano/antano/manager/internal/event"
	"github.com/antano/antano/manager/internal/launch"
	"github.com/antano/antano/manager/internal/listener"
	"github.com/antano/antano/manager/internal/params"
	"github.com/antano/antano/manager/internal/process"
	"github.com/antano/antano/shared"
)

// Service is one row of `active_service` while it runs: its listening sockets, which
// are held until it ends, its share page and its processes.
type Service struct {
	server *Server
	page   *listener.Page
	slots  *slotKeeper
	moved  chan struct{} // has room for one: a process changed its state

	mu      sync.Mutex // guards what follows
	current *spec      // what is to run
	others  []*spec    // what some process may still be launched from
	workers []*worker  // in the order of their ids
	retired []*worker  // scaled away; their ids are used again
	running *sync.WaitGroup
	ctx     context.Context // of the processes; nil while they do not run

	end   context.CancelFunc // ends the run, set when that begins
	ended chan struct{}      // closed when it has ended
}

// GetService assembles a service of the server from its row: it opens the plugin and
// the listening sockets and starts nothing. A failure, such as an address in use,
// leaves nothing open. Source: the seed's get_service.
func GetService(row PlannedService, server *Server) (*Service, error) {
	return newService(assembly{row: row, params: server.globals()}, server)
}

// assembly is what a service is made of.
type assembly struct {
	row    PlannedService
	params *params.Params
	like   *spec    // whose sockets it has, bound or not; nil: its address is bound
	old    *Service // whose process ids it goes on with; nil: those of the row
	held   bool     // its processes wait to be started

	known    []int // the process ids that a predecessor gave it; nil: none did
	adopted  bool  // and they are its processes, but for those that were scaled away
	retired  []int
	stopped  []int       // those that were stopped by command
	last     map[int]int // the last generation of each
	restarts map[int]int // those of each that ran
	metrics  map[int]map[string]int64
}

// newService assembles a service. With an error nothing that was opened here is open.
func newService(a assembly, server *Server) (_ *Service, err error) {
	s := &Service{server: server, moved: make(chan struct{}, 1), ended: make(chan struct{})}
	defer func() {
		if err == nil {
			return
		}
		if a.like != nil {
			s.closeBut(a.like)
		} else {
			s.closeBut()
		}
	}()
	in := server.inheritanceOf(&a)
	ids, pasts, err := a.ids(server)
	if err != nil {
		return nil, err
	}
	a.row.ProcessIDs = nil
	for i, id := range ids {
		if a.runs(i, id) {
			a.row.ProcessIDs = append(a.row.ProcessIDs, id)
		}
	}
	if in != nil && in.former {
		s.current, err = in.spec(a, server)
	} else {
		s.current, err = newSpec(a.row, a.params, a.like, server.given)
	}
	if err != nil {
		return nil, err
	}
	if s.page = in.takePage(); s.page == nil {
		if s.page, err = listener.NewPage(); err != nil {
			return nil, fmt.Errorf("service %s: %w", a.row.Params.Name, err)
		}
	}
	s.page.Use(rowsOf(len(ids)))
	if s.slots, err = newSlotKeeper(relayedReaders{server}, s.slotCount(), s.plan().ProcessIDs); err != nil {
		return nil, fmt.Errorf("service %s: %w", a.row.Params.Name, err)
	}
	for i, id := range ids {
		w := newWorker(s, id, i, s.current, pasts[id], a.held || slices.Contains(a.stopped, id))
		if a.runs(i, id) {
			s.workers = append(s.workers, w)
		} else {
			s.retired = append(s.retired, w)
		}
	}
	server.bequeath(s, in)
	return s, nil
}

// ids are those of the processes, and of more that the service had before, and what they
// go on with.
func (a assembly) ids(server *Server) (ids []int, pasts map[int]past, err error) {
	pasts = make(map[int]past)
	switch {
	case a.known != nil:
		for _, id := range a.known {
			pasts[id] = past{generation: a.last[id], restarts: a.restarts[id], metrics: formerCounters(a.metrics[id])}
		}
		if a.adopted {
			return a.known, pasts, nil
		}
		ids = slices.Clone(a.known)
	case a.old == nil && len(a.row.ProcessIDs) == a.row.Params.Processes:
		return a.row.ProcessIDs, nil, nil
	case a.old != nil:
		for _, w := range slices.Concat(a.old.workers, a.old.retired) {
			pasts[w.id] = w.past()
			ids = append(ids, w.id)
		}
		slices.Sort(ids)
	}
	for len(ids) < a.row.Params.Processes {
		id, err := server.nextProcessID()
		if err != nil {
			return nil, nil, err
		}
		ids = append(ids, id)
	}
	return ids, pasts, nil
}

// runs reports whether the i-th id is that of a process which is not scaled away.
func (a assembly) runs(i, id int) bool {
	if a.adopted {
		return !slices.Contains(a.retired, id)
	}
	return i < a.row.Params.Processes
}

// spec is what new generations are launched from.
func (s *Service) spec() *spec {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.current
}

// plan is the row that the service runs.
func (s *Service) plan() PlannedService { return s.spec().plan }

// processes are those of the service at this moment, in the order of their ids.
func (s *Service) processes() []*worker {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.workers)
}

// slotCount is how many sockets the processes read in turn instead of sharing them.
func (s *Service) slotCount() int {
	row := s.plan()
	switch {
	case row.Plugin.Description.Transport == shared.TransportUDP:
		return listener.Slots
	case row.Plugin.Description.Transport == shared.TransportUnix && row.Params.SocketType == shared.SocketDgram:
		return 1
	}
	return 0
}

// files are the descriptors that every process of the spec inherits.
func (s *Service) files(sp *spec) []launch.File {
	var files []launch.File
	if sp.group != nil {
		for _, f := range sp.group.Sockets() {
			files = append(files, launch.File{Name: f.Name, FD: f.FD})
		}
	}
	return append(files,
		launch.File{Name: "share", FD: s.page.FD()},
		launch.File{Name: "lifeline", FD: s.server.lifeline.child})
}

// RunProcesses runs all processes of the services until ctx ends, which is a planned
// stop, and returns when all of them are gone. How many each service has was decided
// with its params: `processes`, else `num_of_process`. Source: the seed's
// run_processes.
func RunProcesses(ctx context.Context, services []*Service) {
	var wg sync.WaitGroup
	for _, s := range services {
		wg.Go(func() { s.run(ctx) })
	}
	wg.Wait()
}

// run runs the processes, those that are added meanwhile included.
func (s *Service) run(ctx context.Context) {
	var running sync.WaitGroup
	s.mu.Lock()
	s.ctx, s.running = ctx, &running
	for _, w := range s.workers {
		s.launch(w)
	}
	s.mu.Unlock()
	<-ctx.Done()
	s.mu.Lock()
	s.ctx, s.running = nil, nil // nothing is added from now on
	s.mu.Unlock()
	running.Wait()
}

// launch runs a process until it is retired or the service ends. s.mu is held.
func (s *Service) launch(w *worker) {
	ctx, cancel := context.WithCancel(s.ctx)
	w.end = cancel
	s.running.Go(func() {
		defer cancel()
		w.process.Run(ctx)
		close(w.ended)
	})
}

func (s *Service) worker(id int) *worker {
	for _, w := range s.processes() {
		if w.id == id {
			return w
		}
	}
	return nil
}

// settled waits until every process was ready or failed once and one is ready, or
// none will be, or until ctx ends, and reports whether one is ready. With `limit: 0`
// no process ever counts as failed, so it waits for those no longer than a few starts
// may take.
func (s *Service) settled(ctx context.Context) bool {
	if s.plan().restart.Limit == 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, 3*s.spec().params.Timeouts.Start)
		defer cancel()
	}
	for _, w := range s.processes() {
		select {
		case <-w.process.Settled():
		case <-ctx.Done():
		}
	}
	for { // one that was ready may have ended since, and be on its way back
		states := s.states()
		if slices.Contains(states, event.Ready) {
			return true
		}
		if serviceState(states) == event.Failed.String() {
			return false
		}
		select {
		case <-s.moved:
		case <-ctx.Done():
			return false
		}
	}
}

func (s *Service) states() []event.State {
	var states []event.State
	for _, w := range s.processes() {
		states = append(states, w.process.Status().State)
	}
	return states
}

// kill has every process killed in the stop that is under way or to come.
func (s *Service) kill() {
	for _, w := range s.processes() {
		w.process.Kill()
	}
}

// close releases what GetService opened.
func (s *Service) close() { s.closeBut() }

// closeBut leaves open what others share with it.
func (s *Service) closeBut(others ...*spec) {
	if s.slots != nil {
		s.slots.close()
	}
	if s.page != nil {
		for _, w := range slices.Concat(s.workers, s.retired) {
			w.keepCounters(s.page)
		}
		s.page.Close()
	}
	if s.current != nil {
		drop(append(s.others, s.current), others)
	}
}

// address is where the service listens, or will when it is started again.
func (s *Service) address() string { return s.spec().bound }

func (s *Service) status(now time.Time) ServiceStatus {
	sp := s.spec()
	p := sp.plan.Params
	st := ServiceStatus{ID: p.ID, Name: p.Name, Type: p.ServiceType, Address: sp.bound}
	for _, w := range s.processes() {
		st.Processes = append(st.Processes, w.status(now))
	}
	st.State = serviceState(s.states())
	st.Sockets = []SocketStatus{}
	if sp.group != nil {
		st.Sockets = socketStatus(sp.group.Queues())
	}
	return st
}

func hostPort(host string, port int) string { return net.JoinHostPort(host, strconv.Itoa(port)) }

// lastCause is why its processes did not become ready, for people.
func (s *Service) lastCause() string {
	for _, w := range s.processes() {
		e := w.process.Status().LastExit
		switch {
		case e == nil:
		case e.Code >= 0 && e.Cause == fmt.Sprintf("exited with code %d", e.Code) && len(e.Stderr) > 0:
			return e.Cause + "; it said: " + e.Stderr[len(e.Stderr)-1]
		default:
			return e.Cause
		}
	}
	return "no process has ended yet"
}

// unready is why its processes did not become ready, with the evidence of one.
func (s *Service) unready() error {
	for _, w := range s.processes() {
		if st := w.process.Status(); st.LastExit != nil {
			return &process.NotReadyError{Ref: st.Ref, Exit: *st.LastExit}
		}
	}
	return errors.New(s.lastCause())
}

// exitedConfig reports whether a process said that its configuration is wrong.
func (s *Service) exitedConfig() bool {
	for _, w := range s.processes() {
		if e := w.process.Status().LastExit; e != nil && e.Code == shared.ExitConfig {
			return true
		}
	}
	return false
}

// stirred tells who waits for a state that one has changed.
func (s *Service) stirred() {
	select {
	case s.moved <- struct{}{}:
	default:
	}
}
