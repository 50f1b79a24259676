package manager

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"

	"github.com/antano/antano/manager/internal/control"
	"github.com/antano/antano/manager/internal/launch"
	"github.com/antano/antano/shared"
)

// Kicked is a client that was ended, and where it was connected.
type Kicked struct {
	ClientID  uint64 `json:"client_id"`
	Service   string `json:"service"`
	ProcessID int    `json:"process_id"`
}

// Kick implements control.Backend. Every process is asked, since a client may have
// moved; the id says only where it began.
func (b backend) Kick(ctx context.Context, client string) (any, error) {
	n, err := strconv.ParseUint(client, 10, 64)
	id := shared.ClientID(n)
	if err != nil || !id.Valid() {
		return nil, fmt.Errorf("%w: %q is no client id; 'antano clients SERVICE' lists them", control.ErrBadRequest, client)
	}
	ctx, cancel := context.WithTimeout(ctx, clientsTime)
	defer cancel()
	var mu sync.Mutex
	var found *worker
	var failed []error
	var asking sync.WaitGroup
	for _, svc := range b.s.snapshot() {
		for _, w := range svc.processes() {
			asking.Go(func() {
				was, err := w.kick(ctx, id)
				mu.Lock()
				defer mu.Unlock()
				if was {
					found = w
					cancel() // the others need not answer
				} else if err != nil {
					failed = append(failed, err)
				}
			})
		}
	}
	asking.Wait()
	switch {
	case found != nil:
		found.emitKick(id)
		return Kicked{ClientID: n, Service: found.service.plan().Params.Name, ProcessID: found.id}, nil
	case len(failed) > 0:
		return nil, fmt.Errorf("look for client %d: %w", n, errors.Join(failed...))
	}
	return nil, fmt.Errorf("client %d %w; 'antano clients SERVICE' lists who is connected", n, control.ErrNotFound)
}

// kick ends a client of the process, in whatever generation it is, and reports whether
// it was there.
func (w *worker) kick(ctx context.Context, id shared.ClientID) (bool, error) {
	for _, i := range w.running() {
		found, err := i.proc.Kick(ctx, id)
		switch {
		case errors.Is(err, launch.ErrExited): // its clients went with it
		case err != nil:
			return false, fmt.Errorf("ask process %s: %w", w, err)
		case found:
			return true, nil
		}
	}
	return false, nil
}
