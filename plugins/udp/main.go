// Command antano-service-udp is the plugin of service type udp: datagrams over IPv4 and IPv6.
//
// It is started by antano; see README.md for its params.
package main

import (
	"github.com/antano/antano/plugin"
	"github.com/antano/antano/plugin/socket"
	"github.com/antano/antano/shared"
)

// version is set by make build; without it the SDK shows what the Go tool noted.
var version string

func main() { plugin.Serve(service()) }

func service() *socket.SocketService {
	return socket.New(socket.Config{Description: shared.Description{
		Version:     version,
		ServiceType: "udp",
		Transport:   shared.TransportUDP,
		CanSend:     true,
	}})
}
