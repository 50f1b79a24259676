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
	return st
}

func (s *Service) state() runtimedir.StateService {
	s.mu.Lock()
	sp, workers, retired := s.current, slices.Clone(s.workers), slices.Clone(s.retired)
	s.mu.Unlock()
	st := runtimedir.StateService{
		ID: sp.plan.Params.ID, Type: sp.plan.Params.ServiceType, Name: sp.plan.Params.Name, Address: sp.bound,
		Config: sp.fingerprint(), IDs: make([]int, len(workers)+len(retired)), Running: len(workers), Last: make(map[int]int),
	}
	for _, w := range slices.Concat(workers, retired) {
		status := w.process.Status()
		st.IDs[w.index] = w.id
		st.Last[w.id] = status.Ref.Generation
		for _, i := range w.launchedOnes() {
			p := runtimedir.StateProcess{
				ID: w.id, Generation: i.gen, PID: i.proc.PID(), StartTime: i.proc.StartTime(), StartedAt: i.proc.StartedAt(), Secret: i.secret[:],
				Path: i.spec.plan.Plugin.Path, SHA256: i.spec.plan.Plugin.SHA256, Dir: s.server.dir.Process(w.id, i.half), Socket: i.proc.Socket(),
				Row: i.row(), Ready: status.State == event.Ready && status.Ref.Generation == i.gen, Restarts: status.Restarts,
			}
			if p.StartTime != 0 { // else it has ended already
				st.Processes = append(st.Processes, p)
			}
		}
	}
	return st
}

// fingerprint tells what processes are launched from, but for how many there are.
func (s *spec) fingerprint() string {
	p := s.plan.Params
	p.Processes = 0
	b, err := json.Marshal(p)
	if err != nil {
		return ""
	}
	sum := sha256.Sum256(append(b, s.plan.Plugin.SHA256...))
	return hex.EncodeToString(sum[:])
}
