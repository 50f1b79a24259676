package serve

import (
	"context"
	"errors"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/antano/antano/shared"
	"github.com/antano/antano/shared/control"
	"github.com/antano/antano/shared/pluginpb"
)

// rpc is the control plane. exit is told how the process is to end once an answer has
// been sent.
type rpc struct {
	pluginpb.UnimplementedPluginServer
	process *Process
	exit    func(code int)
	begin   func() // before the service is called; go-plugin is set up by then
}

// statusOf maps errors to gRPC codes.
func statusOf(err error) error {
	code := codes.Unknown
	if _, ok := errors.AsType[*configError](err); ok {
		code = codes.FailedPrecondition
	} else if errors.Is(err, context.DeadlineExceeded) {
		code = codes.DeadlineExceeded
	}
	return status.Error(code, err.Error())
}

// exitCode is how a process ends whose Start failed.
func exitCode(err error) int {
	if _, ok := errors.AsType[*configError](err); ok {
		return shared.ExitConfig
	}
	return 1
}

// Describe answers with the plugin's description.
func (r *rpc) Describe(context.Context, *pluginpb.DescribeRequest) (*pluginpb.DescribeResponse, error) {
	r.begin()
	d, err := r.process.Describe()
	if err != nil {
		return nil, status.Error(codes.Internal, err.Error())
	}
	return control.FromDescription(d), nil
}

// Start is answered once the process serves; a process that cannot exits.
func (r *rpc) Start(ctx context.Context, in *pluginpb.StartRequest) (*pluginpb.StartResponse, error) {
	r.begin()
	s, err := control.ToStart(in)
	if errors.Is(err, control.ErrUnknownKey) {
		err = ConfigError(err)
		r.process.log.Error(err.Error())
		r.exit(exitCode(err))
		return nil, statusOf(err)
	}
	if err != nil {
		r.process.log.Error(err.Error())
		r.exit(1)
		return nil, status.Error(codes.InvalidArgument, err.Error())
	}
	if err := r.process.Start(ctx, s); errors.Is(err, errStarted) {
		return nil, status.Error(codes.AlreadyExists, err.Error())
	} else if err != nil {
		r.process.log.Error(err.Error())
		r.exit(exitCode(err))
		return nil, statusOf(err)
	}
	return &pluginpb.StartResponse{}, nil
}

// Drain is answered when nothing is owed any more, or at the deadline. It goes on when the
// manager that asked is gone.
func (r *rpc) Drain(ctx context.Context, in *pluginpb.DrainRequest) (*pluginpb.DrainResponse, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), control.ToDrain(in))
	defer cancel()
	unfinished, err := r.process.Drain(ctx)
	if err != nil {
		return nil, statusOf(err)
	}
	return &pluginpb.DrainResponse{Unfinished: uint32(unfinished)}, nil
}

// Stop closes everything; the process exits by itself afterwards.
func (r *rpc) Stop(ctx context.Context, _ *pluginpb.StopRequest) (*pluginpb.StopResponse, error) {
	err := r.process.Stop(ctx)
	r.exit(0)
	if err != nil {
		return nil, statusOf(err)
	}
	return &pluginpb.StopResponse{}, nil
}

// Kick ends one client.
func (r *rpc) Kick(_ context.Context, in *pluginpb.KickRequest) (*pluginpb.KickResponse, error) {
	return &pluginpb.KickResponse{Found: r.process.Kick(shared.ClientID(in.GetClientId()))}, nil
}

// Clients streams who is connected.
func (r *rpc) Clients(_ *pluginpb.ClientsRequest, out grpc.ServerStreamingServer[pluginpb.Client]) error {
	for _, c := range r.process.Clients() {
		if err := out.Send(control.FromClient(c)); err != nil {
			return err
		}
	}
	return nil
}
