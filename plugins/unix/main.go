// Command antano-service-unix is the plugin of service type unix: datagrams, streams or packets on a socket in the file system.
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
		Name:        "antano-service-unix",
		Version:     versionOr(version),
		ServiceType: "unix",
		Transport:   shared.TransportUnix,
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
