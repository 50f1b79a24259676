package manager

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/antano/antano/manager/internal/catalog"
	"github.com/antano/antano/manager/internal/event"
	"github.com/antano/antano/manager/internal/launch"
	"github.com/antano/antano/manager/internal/listener"
	"github.com/antano/antano/shared"
)

// Service is one row of `active_service` while it runs: its listening sockets, which
// are held until the server stops, its share page and its processes.
type Service struct {
	server  *Server
	plan    PlannedService
	binary  *catalog.Binary // the plugin that was described, whatever is at its path now
	group   *listener.Group
	page    *listener.Page
	workers []*worker
	slots   *slotKeeper
	moved   chan struct{} // has room for one: a process changed its state
}

// GetService assembles a service of the server from its row: it opens the plugin and
// the listening sockets and starts nothing. A failure, such as an address in use,
// leaves nothing open. Source: the seed's get_service.
func GetService(row PlannedService, server *Server) (_ *Service, err error) {
	s := &Service{server: server, plan: row, moved: make(chan struct{}, 1)}
	defer func() {
		if err != nil {
			s.close()
		}
	}()
	if s.binary, err = row.Plugin.open(); err != nil {
		return nil, err
	}
	if err = s.bind(); err != nil {
		return nil, fmt.Errorf("service %s: %w", row.Params.Name, err)
	}
	if s.page, err = listener.NewPage(len(row.ProcessIDs)); err != nil {
		return nil, fmt.Errorf("service %s: %w", row.Params.Name, err)
	}
	if s.slots, err = newSlotKeeper(s, s.slotCount()); err != nil {
		return nil, fmt.Errorf("service %s: %w", row.Params.Name, err)
	}
	for i, id := range row.ProcessIDs {
		s.workers = append(s.workers, newWorker(s, id, i))
	}
	return s, nil
}

func (s *Service) bind() (err error) {
	p := s.plan.Params
	switch t := s.plan.Plugin.Description.Transport; t {
	case shared.TransportTCP, shared.TransportUDP:
		s.group, err = listener.Bind(p.Port, p.Host, string(t), p.Backlog)
	case shared.TransportUnix:
		s.group, err = listener.BindUnixSocket(p.Endpoint, p.Mode, p.SocketType, p.Backlog)
	}
	return err
}

// slotCount is how many sockets the processes read in turn instead of sharing them.
func (s *Service) slotCount() int {
	switch {
	case s.plan.Plugin.Description.Transport == shared.TransportUDP:
		return listener.Slots
	case s.plan.Plugin.Description.Transport == shared.TransportUnix && s.plan.Params.SocketType == shared.SocketDgram:
		return 1
	}
	return 0
}

// files are the descriptors that every process inherits.
func (s *Service) files() []launch.File {
	var files []launch.File
	if s.group != nil {
		for _, f := range s.group.Sockets() {
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
		for _, w := range s.workers {
			wg.Go(func() { w.process.Run(ctx) })
		}
	}
	wg.Wait()
}

func (s *Service) worker(id int) *worker {
	for _, w := range s.workers {
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
	if s.plan.restart.Limit == 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, 3*s.server.plan.params.Timeouts.Start)
		defer cancel()
	}
	for _, w := range s.workers {
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
	states := make([]event.State, len(s.workers))
	for i, w := range s.workers {
		states[i] = w.process.Status().State
	}
	return states
}

// kill has every process killed in the stop that is under way or to come.
func (s *Service) kill() {
	for _, w := range s.workers {
		w.process.Kill()
	}
}

// close releases what GetService opened.
func (s *Service) close() {
	if s.slots != nil {
		s.slots.close()
	}
	if s.group != nil {
		s.group.Close()
	}
	if s.page != nil {
		s.page.Close()
	}
	if s.binary != nil {
		_ = s.binary.Close()
	}
}

func (s *Service) address() string {
	if s.group != nil {
		return s.group.Address()
	}
	return ""
}

func (s *Service) status(now time.Time) ServiceStatus {
	st := ServiceStatus{ID: s.plan.Params.ID, Name: s.plan.Params.Name, Type: s.plan.Params.ServiceType, Address: s.address()}
	for _, w := range s.workers {
		st.Processes = append(st.Processes, w.status(now))
	}
	st.State = serviceState(s.states())
	return st
}

func hostPort(host string, port int) string { return net.JoinHostPort(host, strconv.Itoa(port)) }

// lastCause is why its processes did not become ready, for people.
func (s *Service) lastCause() string {
	for _, w := range s.workers {
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

// exitedConfig reports whether a process said that its configuration is wrong.
func (s *Service) exitedConfig() bool {
	for _, w := range s.workers {
		if e := w.process.Status().LastExit; e != nil && e.Code == shared.ExitConfig {
			return true
		}
	}
	return false
}
