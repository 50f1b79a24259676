package socket_test

import (
	"bytes"
	"context"

	"github.com/antano/antano/plugin"
	"github.com/antano/antano/plugin/socket"
	"github.com/antano/antano/shared"
)

// A service type of one's own: every line that a TCP client sends comes back in
// capitals. The binary is named antano-service-shout.
func Example() {
	plugin.Serve(socket.New(socket.Config{
		Description: shared.Description{
			Name: "shout", Version: "1.0", ServiceType: "shout", Transport: shared.TransportTCP, CanSend: true,
		},
		OnReceivedMessage: func(_ context.Context, message []byte, _ string, _ plugin.Client) ([]byte, error) {
			return bytes.ToUpper(message), nil
		},
	}))
}
