package rig

import (
	"context"
	"fmt"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/antano/antano/shared/control"
	"github.com/antano/antano/shared/pluginpb"
)

// maxRPC is the largest message of the control plane. Source: docs/protocol.md
// "Handshake".
const maxRPC = 16 << 20

// Control is a connection of its own to the control plane, for calls that no manager
// makes like this.
type Control struct{ cc *grpc.ClientConn }

// Control dials the process.
func (p *Process) Control() (*Control, error) {
	cc, err := grpc.NewClient("unix:"+p.Socket(), grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxRPC), grpc.MaxCallSendMsgSize(maxRPC)))
	if err != nil {
		return nil, fmt.Errorf("dial the control plane: %w", err)
	}
	return &Control{cc}, nil
}

// Close ends the connection.
func (c *Control) Close() { c.cc.Close() }

// Serving asks go-plugin's health service.
func (c *Control) Serving(ctx context.Context) error {
	answer, err := grpc_health_v1.NewHealthClient(c.cc).Check(ctx, &grpc_health_v1.HealthCheckRequest{Service: "plugin"})
	if err == nil && answer.GetStatus() != grpc_health_v1.HealthCheckResponse_SERVING {
		err = fmt.Errorf("the answer is %s", answer.GetStatus())
	}
	return err
}

// Shutdown is go-plugin's way to end a process.
func (c *Control) Shutdown(ctx context.Context) error {
	return c.cc.Invoke(ctx, "/plugin.GRPCController/Shutdown", new(emptypb.Empty), new(emptypb.Empty))
}

// unknownField is one that no version of the protocol has.
const unknownField = 1000

// LargeDescribe asks for the description with a request of so many bytes, in a field
// that has to be ignored.
func (c *Control) LargeDescribe(ctx context.Context, bytes int) error {
	request := new(pluginpb.DescribeRequest)
	field := protowire.AppendTag(nil, unknownField, protowire.BytesType)
	request.ProtoReflect().SetUnknown(protowire.AppendBytes(field, make([]byte, bytes)))
	_, err := pluginpb.NewPluginClient(c.cc).Describe(ctx, request)
	return err
}

// StartWith is Start with other params than those of the process.
func (c *Control) StartWith(ctx context.Context, p *Process, params []byte) error {
	request, err := control.FromStart(p.request)
	if err != nil {
		return err
	}
	request.Params = params
	_, err = pluginpb.NewPluginClient(c.cc).Start(ctx, request)
	return err
}
