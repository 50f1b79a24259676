package manager

import (
	"errors"
	"testing"

	"github.com/antano/antano/manager/internal/control"
)

// TestAskDuringALaunch asks for the clients of a service whose process is not launched
// yet, which once was a crash of the request.
func TestAskDuringALaunch(t *testing.T) {
	svc := &Service{current: &spec{}}
	svc.workers = []*worker{{service: svc, instances: [generations]*instance{{}}}}
	b := backend{&Server{services: []*Service{svc}, events: newEvents()}}
	if clients, err := b.Clients(t.Context(), "0"); err != nil || len(clients.([]ClientStatus)) != 0 {
		t.Errorf("clients %v, %v", clients, err)
	}
	if _, err := b.Kick(t.Context(), "7"); !errors.Is(err, control.ErrNotFound) {
		t.Errorf("kick: %v", err)
	}
}
