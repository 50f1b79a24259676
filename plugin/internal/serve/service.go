package serve

import (
	"context"
	"fmt"

	"github.com/antano/antano/plugin/internal/hub"
	"github.com/antano/antano/shared"
)

// Service is a plugin.Service and what it can do beside; nil fields it cannot.
type Service struct {
	Describe    func() shared.Description
	Start       func(context.Context, *hub.Hub, []Socket) error
	Drain       func(context.Context) error
	Stop        func(context.Context) error
	Handler     hub.Handler
	Health      func() error
	AssignSlots func(slots uint64) error
	Transport   hub.Transport
}

// Socket is plugin.Socket.
type Socket struct {
	Name string
	FD   int
}

// ConfigError marks err as wrong configuration; nil stays nil.
func ConfigError(err error) error {
	if err == nil {
		return nil
	}
	return &configError{err}
}

type configError struct{ err error }

func (e *configError) Error() string { return fmt.Sprintf("wrong configuration: %v", e.err) }

func (e *configError) Unwrap() error { return e.err }
