package manager

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/antano/antano/manager/internal/control"
	"github.com/antano/antano/manager/internal/history"
	"github.com/antano/antano/manager/internal/listener"
	"github.com/antano/antano/manager/internal/params"
	"github.com/antano/antano/manager/internal/relay"
	"github.com/antano/antano/manager/internal/runtimedir"
	"github.com/antano/antano/shared"
)

// Server is one antano server: a plan, and what runs it. Source:
// docs/architecture.md "Start-up".
type Server struct {
	cfg      Config
	plan     *Plan
	started  time.Time
	events   *history.Ring[Event]
	logs     *history.Ring[LogLine]
	book     *logbook // remembers in logs what plugins print
	dir      *runtimedir.Dir
	router   *relay.Router
	lifeline lifeline
	given    *listener.Given // sockets that systemd opened
	released chan struct{}   // closed in a stop, when all processes are drained
	keeper   *keeper

	relayed    *net.UnixListener // the sockets of the server, set before anything runs
	controlled *door

	upgrading atomic.Pointer[runtimedir.StateUpgrade] // what the state says while it executes another binary

	predecessor runtimedir.State       // zero when there was none
	inherited   map[int64]*inheritance // by service, until that takes it
	changed     bool                   // something is not what the predecessor ran
	dismissed   sync.WaitGroup         // of processes that nobody wants

	draining atomic.Bool
	ready    atomic.Bool

	operations operations
	running    sync.WaitGroup // of the services

	mu            sync.Mutex      // guards what follows
	run           context.Context // of the services, once they run
	services      []*Service
	internal      *Service
	lastProcessID int
	params        *params.Params // since a reload; before that they are those of plan
	killed        bool
}

// globals are the params that hold for all services.
func (s *Server) globals() *params.Params {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.params != nil {
		return s.params
	}
	return s.plan.params
}

// Run runs the server until ctx ends, then drains and stops it, and returns when no
// process, socket or directory is left. It is called once.
func (s *Server) Run(ctx context.Context) (err error) {
	if s.dir, s.predecessor, err = succeed(s.plan.RuntimeDir, s.cfg.Logger); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.dir.Close()) }()
	defer s.given.Close()
	if s.lifeline, err = newLifeline(); err != nil {
		return err
	}
	defer s.lifeline.close()
	s.router = relay.New(relay.Config{ServerID: uint8(s.plan.ServerID), Held: true, OnGrant: s.keeper.touch, OnRefused: func(err error) {
		s.cfg.Logger.Warn("a connection to the relay socket was refused", "err", err)
	}})
	s.router.SkipTo(s.predecessor.Sequences)
	defer s.disinherit()
	dismissed, keep := s.expectHeirs() // before they can knock
	if s.relayed, err = s.listen(runtimedir.Relay); err != nil {
		return err
	}
	outer, endOuter := context.WithCancel(context.WithoutCancel(ctx))
	var around sync.WaitGroup
	defer around.Wait()
	defer endOuter()
	relayed := make(chan error, 1)
	around.Go(func() { relayed <- s.router.Serve(outer, s.relayed) })
	s.takeOver(ctx, dismissed, keep)
	defer s.closeServices()
	var unusable []error // all of them: one run shows every address in use
	for _, row := range s.rows() {
		svc, err := GetService(row, s)
		if err != nil {
			unusable = append(unusable, err)
			continue
		}
		s.add(svc)
	}
	if len(unusable) > 0 {
		return errors.Join(unusable...)
	}
	s.claimGiven()
	if ctx.Err() != nil {
		return nil // told to stop before there was anything to stop
	}
	controlled, err := s.listen(runtimedir.Control)
	if err != nil {
		return err
	}
	s.controlled = &door{UnixListener: controlled}
	return s.serve(ctx, outer, relayed)
}

// claimGiven finds the sockets that were given among those of a predecessor, and says
// which nobody uses.
func (s *Server) claimGiven() {
	for _, svc := range s.snapshot() {
		if g := svc.spec().group; g != nil {
			s.given.Claim(g)
		}
	}
	for _, name := range s.given.Unused() {
		s.cfg.Logger.Warn("no service listens at a socket that was given: connections to it are never accepted; change the socket unit or add a service", "socket", name)
	}
}

// listen opens a socket of our own in the runtime directory. Others than our user cannot
// connect: that they cannot enter the directory is so only while no process is theirs.
func (s *Server) listen(name string) (*net.UnixListener, error) {
	if l := s.inheritedListener(name); l != nil {
		return l, nil
	}
	path := s.dir.Socket(name)
	if st, err := os.Lstat(path); err == nil && st.Mode()&os.ModeSocket != 0 {
		_ = os.Remove(path) // a killed predecessor's: the lock is ours
	}
	private := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		var failed error // the file gets the mode of the socket
		return errors.Join(c.Control(func(fd uintptr) { failed = syscall.Fchmod(int(fd), s.dir.Mode(name)) }), failed)
	}}
	l, err := private.Listen(context.Background(), "unix", path)
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", path, err)
	}
	if err := os.Chmod(path, os.FileMode(s.dir.Mode(name))); err != nil { // the umask took some
		return nil, errors.Join(fmt.Errorf("listen on %s: %w", path, err), l.Close())
	}
	return l.(*net.UnixListener), nil
}

// serve runs everything that has a goroutine. Relay and control outlive the
// processes, which need the one to drain and are watched through the other.
func (s *Server) serve(ctx, outer context.Context, relayed <-chan error) error {
	outer, endOuter := context.WithCancel(outer)
	run, stop := context.WithCancel(outer)
	broken, fail := context.WithCancelCause(ctx)
	var around sync.WaitGroup
	defer around.Wait()
	defer endOuter()
	around.Go(func() {
		select {
		case err := <-relayed:
			fail(err)
		case <-outer.Done():
		}
	})
	around.Go(func() { fail(control.Serve(outer, s.controlled, backend{s})) })
	around.Go(func() { s.watchDrops(outer) })
	around.Go(func() { s.rememberLater(outer) })
	around.Go(func() { s.keeper.run(outer, s.writeState) })
	s.keeper.touch()
	s.announce()
	s.emitServer("starting", "the server is starting")
	s.run = run
	for _, svc := range s.snapshot() {
		s.begin(svc)
	}
	if _, err := StartInternalService(run, s, &s.running); err != nil {
		s.cfg.Logger.Error("the internal service does not run", "err", err)
	}
	s.resume()
	err := s.startUp(broken, func() { s.operations.open(run) })
	if err == nil {
		s.renew()
		around.Go(debug.FreeOSMemory) // what only the start needed
		if s.cfg.Dev {
			around.Go(func() { s.watchPlugins(broken) })
		}
		<-broken.Done()
		if ctx.Err() == nil {
			err = context.Cause(broken)
		}
	}
	s.drain(stop)
	s.running.Wait()
	return err
}

// service is the one with an id, or nil.
func (s *Server) service(id int64) *Service {
	for _, svc := range s.snapshot() {
		if svc.plan().Params.ID == id {
			return svc
		}
	}
	return nil
}

// begin runs a service until its end is called, or the server stops.
func (s *Server) begin(svc *Service) {
	ctx, end := context.WithCancel(s.run)
	svc.end = end
	s.running.Go(func() {
		defer close(svc.ended)
		RunProcesses(ctx, []*Service{svc})
	})
}

// startUp waits for the processes, calls open and says that the server is ready. The
// error is that of a service that has none. It returns early when ctx ends.
func (s *Server) startUp(ctx context.Context, open func()) error {
	for _, svc := range s.services {
		if svc.held() || svc.settled(ctx) || ctx.Err() != nil {
			continue
		}
		err := fmt.Errorf("service %s has no process that became ready: %s", svc.plan().Params.Name, svc.lastCause())
		if svc.exitedConfig() {
			err = configError{err}
		}
		return err
	}
	if s.internal != nil {
		s.internal.settled(ctx) // never fatal
	}
	if ctx.Err() != nil {
		return nil
	}
	open() // first: whoever reads that it is ready may ask for a change
	s.ready.Store(true)
	s.emitServer("ready", "the server is ready")
	s.tell("ready")
	if s.cfg.OnReady != nil {
		s.cfg.OnReady(s.Status())
	}
	return nil
}

// announce tells the relay which processes there are.
func (s *Server) announce() {
	known := make(map[int64][]uint16)
	for _, svc := range s.snapshot() {
		for _, w := range svc.processes() {
			known[svc.plan().Params.ID] = append(known[svc.plan().Params.ID], uint16(w.id))
		}
	}
	s.router.SetServices(known)
}

// snapshot are the services there are now, the internal one last.
func (s *Server) snapshot() []*Service {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := slices.Clone(s.services)
	if s.internal != nil {
		all = append(all, s.internal)
	}
	return all
}

// StartInternalService assembles and runs service 0, through which local programs
// enter the relay, and returns its params. Its processes are part of running and
// end with ctx. Without a unix plugin it is an error and the server goes on.
// Source: the seed's start_internal_service.
func StartInternalService(ctx context.Context, server *Server, running *sync.WaitGroup) (shared.ServiceParams, error) {
	row := server.internalRow()
	if row == nil {
		return shared.ServiceParams{}, errors.New("there is no unix plugin; add antano-service-unix to a plugin directory")
	}
	svc, err := GetService(*row, server)
	if err != nil {
		return row.Params, err
	}
	server.add(svc)
	server.announce()
	running.Go(func() { RunProcesses(ctx, []*Service{svc}) })
	return row.Params, nil
}

// internalRow is the row of the internal service, nil without a plugin for it.
func (s *Server) internalRow() *PlannedService {
	if in := s.inherited[0]; in != nil {
		return &in.row
	}
	if s.plan == nil {
		return nil
	}
	return s.planned(0)
}

// drain stops the processes, but none of them before all have finished what they owe,
// since they may owe it to each other.
func (s *Server) drain(stop func()) {
	s.draining.Store(true)
	s.emitServer("draining", "the server stops: its processes are drained")
	s.tell("draining")
	s.cfg.Logger.Info("draining", "deadline", s.globals().Timeouts.Drain)
	s.router.Shutdown()
	s.operations.interrupt()
	stop()
	s.operations.wait()
	for _, svc := range s.snapshot() {
		for _, w := range svc.processes() {
			<-w.process.Drained()
		}
	}
	close(s.released)
}

// Kill makes a stop, under way or still to come, kill every process at once. Safe for
// concurrent use at any time; it does not wait.
func (s *Server) Kill() {
	s.mu.Lock()
	s.killed = true
	s.mu.Unlock()
	for _, svc := range s.snapshot() {
		svc.kill()
	}
}

// add lists a service that was assembled.
func (s *Server) add(svc *Service) {
	s.mu.Lock()
	if svc.plan().Params.ID == 0 {
		s.internal = svc
	} else {
		s.services = append(s.services, svc)
	}
	killed := s.killed
	s.mu.Unlock()
	if killed {
		svc.kill()
	}
}

func (s *Server) closeServices() {
	for _, svc := range s.snapshot() {
		svc.close()
	}
}

// Status is the server at this moment. Safe for concurrent use.
func (s *Server) Status() Status {
	now := time.Now()
	st := Status{ServerID: s.plan.ServerID, PID: os.Getpid(), Version: s.cfg.Version, State: "starting", UptimeS: now.Sub(s.started).Seconds(), Goroutines: runtime.NumGoroutine()}
	switch {
	case s.draining.Load():
		st.State = "draining"
	case s.ready.Load():
		st.State = "ready"
	}
	for _, svc := range s.snapshot() {
		st.Services = append(st.Services, svc.status(now))
	}
	return st
}
