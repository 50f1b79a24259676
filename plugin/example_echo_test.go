package plugin_test

import (
	"context"

	"github.com/antano/antano/plugin"
	"github.com/antano/antano/shared"
)

// echo answers every message to service/<id> with its own value, in whatever format it
// came. It has no sockets: messages reach it from clients of other services.
type echo struct{}

func (echo) Describe() shared.Description {
	return shared.Description{ServiceType: "echo", Handler: true}
}

func (echo) Start(context.Context, plugin.Host) error { return nil }
func (echo) Stop(context.Context) error               { return nil }

func (echo) OnReceivedMessage(_ context.Context, m *shared.Message) (any, error) {
	return m.Value, nil
}

// A complete service that answers messages. The binary is named antano-service-echo.
func Example() {
	plugin.Serve(echo{})
}
