package rawplugin

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/antano/antano/internal/measure/peer"
	"github.com/antano/antano/internal/measure/server"
)

// resultTime bounds the wait for the results of a run.
const resultTime = time.Minute

// Run has pairs of processes do the work through the relay of a server of their own, all
// at the same time. PerSecond and CPUus are those of all of them, the times are those of
// the first pair. The running program must call Serve when it is executed as a plugin. Of cfg the
// binary, plugin directories and level are used.
func Run(ctx context.Context, cfg server.Config, w peer.Work, pairs int) (peer.Result, error) {
	dir, err := os.MkdirTemp("", "ab")
	if err != nil {
		return peer.Result{}, err
	}
	defer os.RemoveAll(dir)
	settings, err := json.Marshal(Settings{Work: w, Out: dir})
	if err != nil {
		return peer.Result{}, err
	}
	cfg.Plugin = Name
	cfg.Params = fmt.Sprintf(`
active_service: [{id: 1, service_type: %s, processes: %d, settings: %s}]
service_type: [{id: 101, name: %s}]
`, Name, 2*pairs, settings, Name)
	s, err := server.Run(ctx, cfg)
	if err != nil {
		return peer.Result{}, err
	}
	defer s.Close()
	before, err := server.CPU(s.PID())
	if err != nil {
		return peer.Result{}, err
	}
	if err := os.WriteFile(filepath.Join(dir, "go"), nil, 0o600); err != nil {
		return peer.Result{}, err
	}
	var sources, sinks []peer.Result
	for pair := range pairs {
		source, err := readResult(ctx, s, filepath.Join(dir, fmt.Sprintf("source-%d.json", 2*pair+1)))
		if err != nil {
			return peer.Result{}, err
		}
		sink, err := readResult(ctx, s, filepath.Join(dir, fmt.Sprintf("sink-%d.json", 2*pair+2)))
		if err != nil {
			return peer.Result{}, err
		}
		sources, sinks = append(sources, source), append(sinks, sink)
	}
	after, err := server.CPU(s.PID())
	if err != nil {
		return peer.Result{}, err
	}
	return peer.Sum(w, sources, sinks, after-before), nil
}

// readResult waits for a file that a process of the server writes.
func readResult(ctx context.Context, s *server.Server, file string) (r peer.Result, err error) {
	ctx, cancel := context.WithTimeout(ctx, resultTime)
	defer cancel()
	for {
		text, err := os.ReadFile(file)
		if err == nil {
			return r, json.Unmarshal(text, &r)
		}
		select {
		case <-ctx.Done():
			return r, fmt.Errorf("wait for a result: %w\n%s", ctx.Err(), s.Stderr)
		case <-s.Exited():
			return r, fmt.Errorf("antano ended\n%s", s.Stderr)
		case <-time.After(2 * time.Millisecond):
		}
	}
}
