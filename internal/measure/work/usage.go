package work

import (
	"fmt"
	"time"

	"github.com/antano/antano/internal/measure/load"
	"github.com/antano/antano/internal/measure/server"
)

// processor is the time that the manager and all processes of a server have used.
func processor(s *server.Server) (total time.Duration, err error) {
	pids, err := everyPID(s)
	for _, pid := range pids {
		used, err := server.CPU(pid)
		if err != nil {
			return 0, err
		}
		total += used
	}
	return total, err
}

// everyPID is the manager's and those of all processes, the internal one too.
func everyPID(s *server.Server) ([]int, error) {
	st, err := s.Status()
	if err != nil {
		return nil, err
	}
	pids := []int{s.PID()}
	for _, svc := range st.Services {
		for _, p := range svc.Processes {
			pids = append(pids, p.PID)
		}
	}
	return pids, nil
}

// during does a load and returns the processor time that the server used for each of its
// messages, in microseconds.
func during(s *server.Server, do func() (load.Result, error)) (load.Result, float64, error) {
	before, err := processor(s)
	if err != nil {
		return load.Result{}, 0, err
	}
	r, err := do()
	if err != nil {
		return r, 0, err
	}
	after, err := processor(s)
	return r, microseconds(after-before) / float64(max(1, r.Count)), err
}

// memoryOf sums the memory of the processes of one service.
func memoryOf(s *server.Server, service string) (int64, error) {
	svc, err := s.Service(service)
	if err != nil {
		return 0, err
	}
	var sum int64
	for _, p := range svc.Processes {
		pss, err := server.PSS(p.PID)
		if err != nil {
			return 0, err
		}
		sum += pss
	}
	return sum, nil
}

// roomFor makes sure that so many clients can be connected.
func roomFor(clients int) error {
	if err := load.Descriptors(clients); err != nil {
		return fmt.Errorf("%w: %w", errTooMany, err)
	}
	return nil
}
