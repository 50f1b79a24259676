package manager

import (
	"context"
	"fmt"

	"github.com/antano/antano/manager/internal/control"
	"github.com/antano/antano/manager/internal/runtimedir"
)

// Alive reports whether the server's own loops come round: those of its processes, of
// the relay and of the control socket, which is asked as any client would. It blocks at
// most until ctx ends, and is for a server that became ready. What its plugins do is of
// no concern here. Safe for concurrent use.
func (s *Server) Alive(ctx context.Context) error {
	for _, svc := range s.snapshot() {
		for _, w := range svc.processes() {
			if err := w.process.Alive(ctx); err != nil {
				return fmt.Errorf("the state machine of %s does not answer: %w", w, err)
			}
		}
	}
	var st Status // looks at every link of the relay
	if err := control.NewClient(s.dir.Socket(runtimedir.Control)).Get(ctx, "/v1/status", &st); err != nil {
		return fmt.Errorf("the control socket does not answer: %w", err)
	}
	return nil
}

// tell says how the server is, but nothing more once it drains.
func (s *Server) tell(state string) {
	if s.cfg.OnState != nil && (state == "draining" || !s.draining.Load()) {
		s.cfg.OnState(state)
	}
}
