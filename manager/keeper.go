package manager

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"slices"
	"sync"

	"github.com/antano/antano/manager/internal/event"
	"github.com/antano/antano/manager/internal/launch"
	"github.com/antano/antano/manager/internal/params"
	"github.com/antano/antano/manager/internal/process"
	"github.com/antano/antano/manager/internal/runtimedir"
)

// keeper writes what a successor has to know whenever it has changed. One goroutine
// writes; many changes become one write.
type keeper struct {
	wake chan struct{}

	mu      sync.Mutex
	waiting []chan struct{} // closed by the next write that begins
}

func newKeeper() *keeper { return &keeper{wake: make(chan struct{}, 1)} }

// touch has the state written soon. It does not block.
func (k *keeper) touch() {
	select {
	case k.wake <- struct{}{}:
	default:
	}
}

// save has the state written soon, and closes what it returns when what is the case now
// was written. It does not block.
func (k *keeper) save() (saved <-chan struct{}) {
	done := make(chan struct{})
	k.mu.Lock()
	k.waiting = append(k.waiting, done)
	k.mu.Unlock()
	k.touch()
	return done
}

// run writes with write until ctx ends.
func (k *keeper) run(ctx context.Context, write func()) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-k.wake:
		}
		k.mu.Lock()
		waiting := k.waiting
		k.waiting = nil
		k.mu.Unlock()
		write()
		for _, done := range waiting {
			close(done)
		}
	}
}

// sequenceSlack is how many client sequences a process may get before the state that
// says so is written.
const sequenceSlack = 4 << 20

// writeState writes the state of the server.
func (s *Server) writeState() {
	if err := s.dir.WriteState(s.state()); err != nil {
		s.cfg.Logger.Error("a successor will not find what it needs", "err", err)
	}
}

// state is what a successor has to know.
func (s *Server) state() runtimedir.State {
	st := runtimedir.State{Server: s.plan.ServerID, PID: os.Getpid(), StartTime: launch.OwnStartTime(), Sequences: s.router.Sequences(), Upgrade: s.upgrading.Load()}
	for p, n := range st.Sequences {
		st.Sequences[p] = min(n+sequenceSlack, 1<<32)
	}
	for _, svc := range s.snapshot() {
		st.Services = append(st.Services, svc.state())
	}
	st.Plugins = statePlugins()
	s.mu.Lock()
	defer s.mu.Unlock()
	st.LastProcess = s.lastProcessID
	return st
}

func (s *Service) state() runtimedir.StateService {
	s.mu.Lock()
	sp, workers, retired := s.current, slices.Clone(s.workers), slices.Clone(s.retired)
	s.mu.Unlock()
	st := runtimedir.StateService{
		ID: sp.plan.Params.ID, Type: sp.plan.Params.ServiceType, Name: sp.plan.Params.Name, Address: sp.bound,
		Config: fingerprint(sp.plan, sp.params), IDs: make([]int, len(workers)+len(retired)), Last: make(map[int]int), Metrics: make(map[int]map[string]int64),
		Path: sp.plan.Plugin.Path, SHA256: sp.plan.Plugin.SHA256, Params: encoded(sp.plan.Params), Description: encoded(sp.plan.Plugin.Description),
	}
	for _, w := range slices.Concat(workers, retired) {
		status := w.process.Status()
		st.IDs[w.index] = w.id
		switch {
		case w.leaving.Load() || slices.Contains(retired, w):
			st.Retired = append(st.Retired, w.id)
		case status.Held:
			st.Stopped = append(st.Stopped, w.id)
		}
		st.Last[w.id] = status.Ref.Generation
		if ended := w.endedCounters(); len(ended) > 0 {
			st.Metrics[w.id] = ended
		}
		for _, i := range w.launchedOnes() {
			p := runtimedir.StateProcess{
				ID: w.id, Generation: i.gen, PID: i.proc.PID(), StartTime: i.proc.StartTime(), StartedAt: i.proc.StartedAt(), Secret: i.secret[:],
				Path: i.spec.plan.Plugin.Path, SHA256: i.spec.plan.Plugin.SHA256, Dir: s.server.dir.Process(w.id, i.half), Socket: i.proc.Socket(),
				Row: i.row(), Restarts: status.Restarts, Config: fingerprint(i.spec.plan, i.spec.params),
				Ready:    status.Ref.Generation == i.gen && (status.State == event.Ready || status.State == event.Starting && i.serves.Load()),
				Draining: status.State == event.Draining || i.gen < status.Ref.Generation,
				Beside: slices.ContainsFunc(status.Aside, func(a process.Aside) bool {
					return a.Ref.Generation == i.gen && i.gen > status.Ref.Generation && a.State == event.Ready
				}),
			}
			if p.StartTime != 0 { // else it has ended already
				st.Processes = append(st.Processes, p)
			}
		}
	}
	return st
}

// fingerprint tells what processes are launched from, but for how many there are.
func fingerprint(row PlannedService, global *params.Params) string {
	p := row.Params
	p.Processes = 0
	sum := sha256.Sum256(encoded([]any{p, row.Plugin.SHA256, row.execution.Execution, row.execution.env, global.PushBack, global.Timeouts.Handler, global.AdoptionWindow}))
	return hex.EncodeToString(sum[:])
}

// encoded is JSON of what can be encoded: it was decoded.
func encoded(v any) json.RawMessage {
	b, err := json.Marshal(v)
	if err != nil {
		return nil
	}
	return b
}
