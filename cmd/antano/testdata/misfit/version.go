package main

import (
	"context"
	"errors"
	"os"
	"slices"
	"strings"

	goplugin "github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"

	"github.com/antano/antano/shared"
)

// offered reports whether the manager speaks a version of the protocol.
func offered(version string) bool {
	return slices.Contains(strings.Split(os.Getenv("PLUGIN_PROTOCOL_VERSIONS"), ","), version)
}

// serveVersion2 is a plugin of the next version of the protocol, which is made up.
func serveVersion2() {
	goplugin.Serve(&goplugin.ServeConfig{
		HandshakeConfig:  goplugin.HandshakeConfig{MagicCookieKey: shared.CookieKey, MagicCookieValue: shared.CookieValue},
		VersionedPlugins: map[int]goplugin.PluginSet{2: {"service": version2{}}},
		GRPCServer:       goplugin.DefaultGRPCServer,
	})
}

type version2 struct {
	goplugin.NetRPCUnsupportedPlugin
}

func (version2) GRPCServer(*goplugin.GRPCBroker, *grpc.Server) error { return nil }

func (version2) GRPCClient(context.Context, *goplugin.GRPCBroker, *grpc.ClientConn) (any, error) {
	return nil, errors.New("plugin side only")
}
