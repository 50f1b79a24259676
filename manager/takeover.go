package manager

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/antano/antano/manager/internal/event"
	"github.com/antano/antano/manager/internal/launch"
	"github.com/antano/antano/manager/internal/listener"
	"github.com/antano/antano/manager/internal/relay"
	"github.com/antano/antano/manager/internal/runtimedir"
)

const (
	// rejoinTime is how long the processes of a predecessor may take to rejoin before
	// others are served without them.
	rejoinTime = 5 * time.Second
	// leaveTime is how long one that drains may take.
	leaveTime = time.Second
	// giveTime is how long one may take to give its sockets.
	giveTime = 5 * time.Second
)

// heir is a process of the predecessor that is adopted.
type heir struct {
	was  runtimedir.StateProcess
	proc *launch.Process
	link *relay.Link
	logs *logTap
}

// inheritance is what a service has from the predecessor.
type inheritance struct {
	state runtimedir.StateService
	row   PlannedService // that it runs first
	heirs []*heir
	left  []*heir         // that drain, one of a process
	vying []*heir         // that were to take the place of one of heirs
	group *listener.Group // nil when nobody gave it
	page  *listener.Page

	former   bool // row is what the predecessor had, and a reload follows
	stale    bool // and is not what all processes were launched from
	launches bool // new processes can be launched from it
}

// expectHeirs decides what becomes of the processes that a predecessor left, if there was
// one, and has the relay expect those that are adopted.
func (s *Server) expectHeirs() (dismissed []runtimedir.StateProcess, keep map[string]bool) {
	s.inherited = make(map[int64]*inheritance)
	keep = make(map[string]bool)
	var adopted []*adoption
	if len(s.predecessor.Services) > 0 {
		s.lastProcessID = s.predecessor.LastProcess
	}
	for _, st := range s.predecessor.Services {
		in := s.inheritanceFor(st)
		for _, was := range st.Processes {
			c := claim{
				alive: launch.IsRunning(was.PID, was.StartTime), ready: was.Ready, draining: was.Draining, beside: was.Beside,
				planned: in != nil && !slices.Contains(st.Retired, was.ID), held: serves(st),
			}
			switch c.decide() {
			case adopt:
				adopted = append(adopted, &adoption{in: in, was: was})
			case vie:
				adopted = append(adopted, &adoption{in: in, was: was, vies: true})
			case leave:
				if last := len(adopted) - 1; last >= 0 && adopted[last].leaves && adopted[last].was.ID == was.ID {
					dismissed = append(dismissed, was) // there is no room for two
					continue
				}
				adopted = append(adopted, &adoption{in: in, was: was, leaves: true})
			case dismiss:
				dismissed = append(dismissed, was)
			case destroy:
				destroyGroup(was)
			case gone:
			}
			s.lastProcessID = max(s.lastProcessID, was.ID)
		}
		for _, id := range st.IDs {
			s.lastProcessID = max(s.lastProcessID, id)
		}
		if in != nil {
			s.inherited[st.ID] = in
		}
	}
	s.adoptAll(adopted, keep)
	return dismissed, keep
}

// adoption is a process that is to be adopted.
type adoption struct {
	in     *inheritance
	was    runtimedir.StateProcess
	leaves bool
	vies   bool

	heir *heir
	err  error
}

// adoptAll takes hold of processes, at once, and says whose directories are in use.
func (s *Server) adoptAll(all []*adoption, keep map[string]bool) {
	var wait sync.WaitGroup
	for _, a := range all {
		wait.Go(func() { a.heir, a.err = s.inherit(a.in.row, a.was) })
	}
	wait.Wait()
	known := make(map[int64][]uint16)
	for _, a := range all {
		if a.err != nil {
			s.cfg.Logger.Error("a process of the last manager is not adopted", "process", a.was.ID, "pid", a.was.PID, "err", a.err)
			destroyGroup(a.was)
			continue
		}
		switch {
		case a.leaves:
			a.heir.link.Drain()
			a.in.left = append(a.in.left, a.heir)
		case a.vies:
			a.in.vying = append(a.in.vying, a.heir)
		default:
			a.in.heirs = append(a.in.heirs, a.heir)
		}
		keep[filepath.Base(a.was.Dir)] = true
		known[a.in.state.ID] = append(known[a.in.state.ID], uint16(a.was.ID))
	}
	s.router.SetServices(known)
}

// takeOver takes back what adopted processes inherited, and ends the others. The relay
// listens already.
func (s *Server) takeOver(ctx context.Context, dismissed []runtimedir.StateProcess, keep map[string]bool) {
	s.dismissed.Go(func() { s.dismissAll(ctx, dismissed) })
	if u := s.predecessor.Upgrade; u != nil {
		s.receiveInherited(u)
		keep[runtimedir.Control] = true
	}
	s.receive(ctx)
	if row, ok := s.inherited[0]; ok && row.group != nil {
		keep[runtimedir.Internal] = true
	}
	for _, in := range s.inherited {
		if in.group != nil && filepath.Dir(in.group.Address()) == s.dir.Path() {
			keep[filepath.Base(in.group.Address())] = true
		}
	}
	keep[runtimedir.Relay] = true
	for _, p := range dismissed {
		keep[filepath.Base(p.Dir)] = true
	}
	if err := s.dir.Clear(keep); err != nil {
		s.cfg.Logger.Error("clear what the last manager left", "err", err)
	}
}

// inherit takes hold of a process. It will rejoin by itself.
func (s *Server) inherit(row PlannedService, was runtimedir.StateProcess) (*heir, error) {
	h := &heir{was: was, logs: newLogTap(s.book, event.Ref{Service: row.Params.ID, Name: row.Params.Name, Process: was.ID, Generation: was.Generation})}
	h.logs.pid(was.PID)
	var err error
	h.proc, err = launch.Attach(launch.Running{
		Path: was.Path, Dir: was.Dir, Socket: was.Socket, PID: was.PID, StartTime: was.StartTime, StartedAt: was.StartedAt,
		Stdout: func(r io.Reader) { h.logs.read("stdout", r) }, Stderr: func(r io.Reader) { h.logs.read("stderr", r) },
	})
	if err != nil {
		return nil, err
	}
	h.link = s.router.Expect(relay.Launch{
		Process: uint16(was.ID), Generation: uint32(was.Generation), Service: row.Params.ID, Secret: [32]byte(was.Secret), UID: h.proc.UID(),
		QueueLimit: row.Params.Limits.ProcessQueueBytes, MaxClients: row.Params.Limits.MaxClients,
		Handler: row.Plugin.Description.Handler, Adopted: true,
	})
	h.link.Admit(was.PID)
	return h, nil
}

// receive waits until every adopted process has rejoined or is gone, and takes back the
// sockets and page of each service from one of its processes.
func (s *Server) receive(ctx context.Context) {
	var all sync.WaitGroup
	await := func(h *heir, limit time.Duration) {
		timer := time.NewTimer(limit)
		defer timer.Stop()
		select {
		case <-h.link.Rejoined():
		case <-h.link.Down():
		case <-h.proc.Done():
		case <-timer.C:
		case <-ctx.Done():
		}
	}
	for _, in := range s.inherited {
		for _, h := range slices.Concat(in.heirs, in.vying) {
			all.Go(func() { await(h, rejoinTime) })
		}
		for _, h := range in.left {
			all.Go(func() { await(h, leaveTime) })
		}
	}
	all.Wait()
	for _, in := range s.inherited {
		s.settleRivals(in)
	}
	for _, in := range s.inherited {
		if in.page == nil {
			all.Go(func() { s.receiveSockets(context.WithoutCancel(ctx), in) })
		}
	}
	all.Wait()
}

func (s *Server) receiveSockets(ctx context.Context, in *inheritance) {
	for _, h := range in.heirs {
		ctx, cancel := context.WithTimeout(ctx, giveTime)
		sockets, err := h.link.Sockets(ctx)
		cancel()
		if err == nil {
			err = in.take(sockets)
		}
		if err == nil {
			return
		}
		s.cfg.Logger.Warn("a process of the last manager does not give its sockets", "service", in.state.Name, "process", h.was.ID, "err", err)
	}
}

// take makes a group and a page of the descriptors of a process. Without processes there
// may be no sockets either: the service is stopped.
func (in *inheritance) take(sockets []relay.Socket) (err error) {
	var held []listener.Socket
	page := -1
	for _, d := range sockets {
		if d.Name == "share" {
			page = d.FD
			continue
		}
		held = append(held, listener.Socket{Name: d.Name, FD: d.FD})
	}
	defer func() {
		if err == nil {
			return
		}
		for _, d := range sockets {
			_ = unix.Close(d.FD)
		}
		in.group, in.page = nil, nil
	}()
	if page < 0 {
		return errors.New("the share page is missing")
	}
	if in.state.Address != "" && (len(held) > 0 || len(in.heirs) > 0) {
		if in.group, err = listener.Take(in.state.Address, held); err != nil {
			return err
		}
	}
	in.page, err = listener.OpenPage(page)
	return err
}

// destroyGroup kills a process that cannot be adopted.
func destroyGroup(p runtimedir.StateProcess) { _ = unix.Kill(-p.PID, unix.SIGKILL) }

// dismissAll has processes that nobody wants any more drain and stop, and kills those
// that take too long.
func (s *Server) dismissAll(ctx context.Context, all []runtimedir.StateProcess) {
	limits := s.plan.params.Timeouts
	var wait sync.WaitGroup
	for _, was := range all {
		p, err := launch.Attach(launch.Running{Path: was.Path, Dir: was.Dir, Socket: was.Socket, PID: was.PID, StartTime: was.StartTime, StartedAt: was.StartedAt})
		if err != nil {
			continue // it has ended
		}
		wait.Go(func() {
			_ = p.Signal(syscall.SIGTERM) // it drains and stops
			timer := time.NewTimer(limits.Drain + limits.Stop)
			defer timer.Stop()
			select {
			case <-p.Done():
			case <-timer.C:
			case <-ctx.Done():
			}
			if err := errors.Join(p.Close(), os.RemoveAll(was.Dir)); err != nil {
				s.cfg.Logger.Error("end a process of the last manager", "pid", was.PID, "err", err)
			}
		})
	}
	wait.Wait()
}

// disinherit ends what was adopted and that no service took.
func (s *Server) disinherit() {
	for _, in := range s.inherited {
		for _, h := range slices.Concat(in.heirs, in.left, in.vying) {
			h.discard()
		}
		if in.group != nil {
			in.group.Close()
		}
		if in.page != nil {
			in.page.Close()
		}
	}
	s.dismissed.Wait()
}
