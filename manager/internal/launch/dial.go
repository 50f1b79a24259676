package launch

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// maxRPCBytes bounds one message of the control plane in both directions.
const maxRPCBytes = 16 << 20

// conns are the gRPC connections of one process. go-plugin loses one when the
// process dies while it is being dialled; all are closed here.
type conns struct {
	mu  sync.Mutex
	all map[*grpc.ClientConn]struct{}
}

func (c *conns) add(cc *grpc.ClientConn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.all == nil {
		c.all = make(map[*grpc.ClientConn]struct{})
	}
	c.all[cc] = struct{}{}
}

func (c *conns) close() {
	c.mu.Lock()
	all := c.all
	c.all = nil
	c.mu.Unlock()
	for cc := range all {
		_ = cc.Close() // go-plugin has closed most of them
	}
}

// dialOptions are added to go-plugin's own.
func (r *run) dialOptions(c *conns) []grpc.DialOption {
	return []grpc.DialOption{
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return r.dial(ctx) }),
		grpc.WithIdleTimeout(0),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxRPCBytes), grpc.MaxCallSendMsgSize(maxRPCBytes)),
		grpc.WithStreamInterceptor(func(ctx context.Context, desc *grpc.StreamDesc, cc *grpc.ClientConn, method string, streamer grpc.Streamer, opts ...grpc.CallOption) (grpc.ClientStream, error) {
			c.add(cc)
			if strings.HasPrefix(method, "/plugin.GRPCBroker/") {
				// Not used here, and a plugin could grow the broker's maps through it.
				return nil, status.Error(codes.Unimplemented, "the broker is not used")
			}
			return streamer(ctx, desc, cc, method, opts...)
		}),
	}
}

// dial connects to the plugin's socket and proves that the process group that was
// launched made it.
func (r *run) dial(ctx context.Context) (net.Conn, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "unix", r.socket())
	if err != nil {
		return nil, err
	}
	if err := r.proves(conn.(*net.UnixConn)); err != nil {
		conn.Close()
		return nil, err
	}
	return conn, nil
}

func (r *run) proves(conn *net.UnixConn) error {
	cred, err := peerOf(conn)
	if err != nil {
		return fmt.Errorf("ask who serves %s: %w", r.socket(), err)
	}
	group, err := unix.Getpgid(int(cred.Pid))
	if err != nil || group != r.child.pid || int(cred.Uid) != r.uid {
		return fmt.Errorf("socket %s is served by pid %d of uid %d, which is not the plugin that was launched", r.socket(), cred.Pid, cred.Uid)
	}
	return nil
}

// peerOf asks the kernel who is at the other end.
func peerOf(conn *net.UnixConn) (*unix.Ucred, error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return nil, err
	}
	var cred *unix.Ucred
	var failed error
	err = raw.Control(func(fd uintptr) {
		cred, failed = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	})
	return cred, errors.Join(err, failed)
}
