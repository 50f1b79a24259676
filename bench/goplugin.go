package main

import (
	"context"
	"errors"
	"os/exec"
	"time"

	"github.com/hashicorp/go-hclog"
	goplugin "github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"

	"github.com/antano/antano/shared"
	"github.com/antano/antano/shared/pluginpb"
)

// bareStart starts a plugin through go-plugin as it comes, calls Describe twice, and
// returns how long that took. Then it kills the plugin.
func bareStart(ctx context.Context, plugin string) (time.Duration, error) {
	began := time.Now()
	client := goplugin.NewClient(&goplugin.ClientConfig{
		HandshakeConfig:  goplugin.HandshakeConfig{ProtocolVersion: shared.ProtocolVersion, MagicCookieKey: shared.CookieKey, MagicCookieValue: shared.CookieValue},
		VersionedPlugins: map[int]goplugin.PluginSet{shared.ProtocolVersion: {"service": &clientPlugin{}}},
		AllowedProtocols: []goplugin.Protocol{goplugin.ProtocolGRPC},
		Cmd:              exec.CommandContext(ctx, plugin), Logger: hclog.NewNullLogger(),
	})
	defer client.Kill()
	rpc, err := client.Client()
	if err != nil {
		return 0, err
	}
	raw, err := rpc.Dispense("service")
	if err != nil {
		return 0, err
	}
	for range 2 {
		if _, err := raw.(pluginpb.PluginClient).Describe(ctx, &pluginpb.DescribeRequest{}); err != nil {
			return 0, err
		}
	}
	return time.Since(began), nil
}

type clientPlugin struct {
	goplugin.NetRPCUnsupportedPlugin
}

func (*clientPlugin) GRPCServer(*goplugin.GRPCBroker, *grpc.Server) error {
	return errors.New("host side only")
}

func (*clientPlugin) GRPCClient(_ context.Context, _ *goplugin.GRPCBroker, c *grpc.ClientConn) (any, error) {
	return pluginpb.NewPluginClient(c), nil
}
