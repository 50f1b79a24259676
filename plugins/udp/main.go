// Command antano-service-udp is the plugin of service type udp: datagrams over IPv4 and IPv6.
//
// It is started by antano; see README.md for its params.
package main

import (
	"runtime/debug"

	"github.com/antano/antano/plugin"
	"github.com/antano/antano/plugin/socket"
	"github.com/antano/antano/shared"
)

// version is set when a release is built (-ldflags "-X main.version=...").
var version string

func main() { plugin.Serve(service()) }

func service() *socket.SocketService {
	return socket.New(socket.Config{Description: shared.Description{
		Name:        "antano-service-udp",
		Version:     versionOr(version),
		ServiceType: "udp",
		Transport:   shared.TransportUDP,
		CanSend:     true,
	}})
}

// versionOr falls back to what the Go tool noted in the binary.
func versionOr(version string) string {
	if version != "" {
		return version
	}
	if info, ok := debug.ReadBuildInfo(); ok {
		return info.Main.Version
	}
	return "unknown"
}
