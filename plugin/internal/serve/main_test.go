package serve

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/antano/antano/plugin/internal/share"
	"github.com/antano/antano/shared"
	"github.com/antano/antano/shared/pluginpb"
)

// A start that cannot be: the exit code, and one sentence on stderr.
func TestCannotServe(t *testing.T) {
	for _, tc := range []struct {
		name string
		env  []string
		code int
		want string
	}{
		{"by hand", []string{shared.CookieKey + "="}, 1, "does nothing by itself"},
		{"no such directory", []string{"PLUGIN_UNIX_SOCKET_DIR=/nonexistent"}, 1, "cannot serve the control plane"},
		{"path too long", []string{"PLUGIN_UNIX_SOCKET_DIR=/tmp/" + strings.Repeat("x", 100)}, 1, "cannot serve the control plane"},
		{"too few names", []string{"LISTEN_FDS=2", "LISTEN_FDNAMES=tcp"}, 1, "LISTEN_FDNAMES"},
		{"not a number", []string{"LISTEN_FDS=two", "LISTEN_FDNAMES=tcp"}, 1, "LISTEN_FDS"},
		{"not inherited", []string{"LISTEN_FDS=1", "LISTEN_FDNAMES=tcp"}, 1, "descriptor 3"},
		{"a manager of version 2 alone", []string{"PLUGIN_PROTOCOL_VERSIONS=2"}, shared.ExitConfig,
			`version 1 of the plugin protocol, this antano "2"; install a plugin for it`},
		{"a manager of two later versions", []string{"PLUGIN_PROTOCOL_VERSIONS=11,2"}, shared.ExitConfig, `this antano "11,2"`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := command(t, "", tc.env)
			err := c.cmd.Run()
			if got := c.cmd.ProcessState.ExitCode(); got != tc.code {
				t.Errorf("exit code %d (%v)", got, err)
			}
			if !strings.Contains(c.errors(), tc.want) {
				t.Errorf("stderr %q, want something with %q", c.errors(), tc.want)
			}
		})
	}
}

// A process that is only described ends with go-plugin's shutdown.
func TestDescribe(t *testing.T) {
	c := launch(t, "", nil)
	d, err := c.client.Describe(timeout(t), &pluginpb.DescribeRequest{})
	if err != nil || d.Name != "child" || d.Transport != "tcp" {
		t.Errorf("description %v, %v", d, err)
	}
	c.shutdown()
	c.exits(0)
}

// What it speaks is chosen from what the manager offers, in whatever order. The fields and
// requests of a later manager are no reason to fail, nor are its variables and descriptors; a key of the params is.
func TestNegotiation(t *testing.T) {
	for _, offered := range []string{"1,2", "3,2,1", ""} {
		c := launch(t, "", []string{"PLUGIN_PROTOCOL_VERSIONS=" + offered}) // fails unless it says 1
		if _, err := c.client.Describe(timeout(t), &pluginpb.DescribeRequest{}); err != nil {
			t.Errorf("offered %q: %v", offered, err)
		}
		c.shutdown()
		c.exits(0)
	}
	pipe, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer pipe.Close()
	defer w.Close()
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	socket := os.NewFile(uintptr(fd), "later-socket")
	defer socket.Close()
	c := launch(t, "", []string{"LISTEN_FDS=2", "LISTEN_FDNAMES=later:later-socket", "PLUGIN_LATER=1"}, pipe, socket)
	in := c.request()
	later := protowire.AppendString(protowire.AppendTag(nil, 1000, protowire.BytesType), "of a later version")
	in.ProtoReflect().SetUnknown(later)
	if _, err := c.client.Start(timeout(t), in); err != nil {
		t.Errorf("with a field that it does not know: %v", err)
	}
	c.stop()
	c.exits(0)
	if strings.Contains(c.errors(), "socket later") {
		t.Errorf("it uses a socket that it does not know: %s", c.errors())
	}

	c = launch(t, "", nil)
	in = c.request()
	in.Params = append([]byte(`{"tags":["a"],`), in.Params[1:]...)
	_, err = c.client.Start(timeout(t), in)
	if status.Code(err) != codes.FailedPrecondition || !strings.Contains(err.Error(), `params have the key "tags", which this plugin does not know`) {
		t.Errorf("with a key that it does not know: %v", err)
	}
	c.exits(shared.ExitConfig)
}

// The whole life: start with what was inherited, list clients, drain, stop.
func TestLife(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	socket, err := listener.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	page := memfd(t)
	c := launch(t, "", []string{"LISTEN_FDS=2", "LISTEN_FDNAMES=tcp:share"}, socket, page)
	c.mustStart()
	c.says("socket tcp cloexec=true err=<nil>")
	if err := c.start(); status.Code(err) != codes.AlreadyExists {
		t.Errorf("second start: %v", err)
	}
	if got, err := c.manager.Health(timeout(t), 1); err != nil || got != "" {
		t.Errorf("health %q, %v", got, err)
	}
	stream, err := c.client.Clients(timeout(t), &pluginpb.ClientsRequest{})
	if err != nil {
		t.Fatal(err)
	}
	row, err := stream.Recv()
	if err != nil || row.Address != "somewhere" {
		t.Errorf("client %v, %v", row, err)
	}
	if _, err := stream.Recv(); !errors.Is(err, io.EOF) {
		t.Errorf("a second client: %v", err)
	}
	if state, clients := rowOf(t, page); state != 1 || clients != 1 {
		t.Errorf("share page: state %d, %d clients", state, clients)
	}
	d, err := c.client.Drain(timeout(t), &pluginpb.DrainRequest{DeadlineNs: int64(time.Second)})
	if err != nil || d.Unfinished != 0 {
		t.Errorf("drain: %v, %v", d, err)
	}
	if state, clients := rowOf(t, page); state != 0 || clients != 0 {
		t.Errorf("share page after drain: state %d, %d clients", state, clients)
	}
	if _, err := c.client.Stop(timeout(t), &pluginpb.StopRequest{}); err != nil {
		t.Errorf("stop: %v", err)
	}
	c.exits(0)
	if got := c.errors(); strings.Index(got, "drained") > strings.Index(got, "stopped") || !strings.Contains(got, "stopped") {
		t.Errorf("stderr: %s", got)
	}
}

func memfd(t *testing.T) *os.File {
	t.Helper()
	fd, err := unix.MemfdCreate("share", unix.MFD_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	f := os.NewFile(uintptr(fd), "share")
	t.Cleanup(func() { f.Close() })
	if err := f.Truncate(share.RowSize); err != nil {
		t.Fatal(err)
	}
	return f
}

// rowOf reads state and clients of the only row.
func rowOf(t *testing.T, page *os.File) (state, clients byte) {
	t.Helper()
	var b [16]byte
	if _, err := page.ReadAt(b[:], 0); err != nil {
		t.Fatal(err)
	}
	return b[0] + b[7], b[8] + b[15] // whatever the byte order
}

// Stop without drain, and without start.
func TestStop(t *testing.T) {
	for _, started := range []bool{true, false} {
		c := launch(t, "", nil)
		if started {
			c.mustStart()
		}
		if _, err := c.client.Stop(timeout(t), &pluginpb.StopRequest{}); err != nil {
			t.Errorf("stop: %v", err)
		}
		c.exits(0)
	}
}

// A Start that fails is answered, and decides the exit code.
func TestStartFails(t *testing.T) {
	for _, tc := range []struct {
		mode, want string
		code       codes.Code
		exit       int
	}{
		{"config", "color must be red", codes.FailedPrecondition, shared.ExitConfig},
		{"broken", "the moon is missing", codes.Unknown, 1},
	} {
		c := launch(t, tc.mode, nil)
		if err := c.start(); status.Code(err) != tc.code || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v", tc.mode, err)
		}
		c.exits(tc.exit)
		if !strings.Contains(c.errors(), tc.want) {
			t.Errorf("%s: stderr %s", tc.mode, c.errors())
		}
	}
}

// A panic of the author's code is an error of that call, with its stack in the log, and not
// the end of the process where it can go on.
func TestPanics(t *testing.T) {
	c := launch(t, "panic in Describe", nil)
	panicked := func(where string, err error) {
		t.Helper()
		if err == nil || !strings.Contains(err.Error(), where+" panicked: out of luck") {
			t.Errorf("%s: %v", where, err)
		}
		c.says(`"msg":"` + where + ` panicked","panic":"out of luck","stack":"goroutine `)
	}
	_, err := c.client.Describe(timeout(t), &pluginpb.DescribeRequest{})
	panicked("Describe", err)
	c.shutdown()
	c.exits(0)

	c = launch(t, "panic in Start", nil)
	panicked("Start", c.start())
	c.exits(1)

	c = launch(t, "panic in Stop", nil)
	c.mustStart()
	ctx, giveUp := context.WithCancel(t.Context())
	confirmed := make(chan error)
	go func() { confirmed <- c.manager.AssignSlots(ctx, 1, 0) }()
	c.says("AssignSlots panicked")
	failing, err := c.manager.Health(timeout(t), 1)
	panicked("AssignSlots", errors.Join(err, errors.New(failing)))
	giveUp()
	if err := <-confirmed; err == nil {
		t.Error("slots are confirmed that it panicked over")
	}
	_, err = c.client.Drain(timeout(t), &pluginpb.DrainRequest{DeadlineNs: int64(time.Second)})
	panicked("Drain", err)
	_, err = c.client.Stop(timeout(t), &pluginpb.StopRequest{})
	panicked("Stop", err)
	c.exits(0)
}

func TestSignals(t *testing.T) {
	c := launch(t, "", nil)
	c.mustStart()
	if err := c.cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if _, err := c.manager.Health(timeout(t), 1); err != nil {
		t.Errorf("after SIGINT: %v", err)
	}
	if err := c.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	c.exits(0)
	c.says("drained")
	c.says("stopped")
}

// A process that is terminated before it was started has nothing to drain.
func TestTerminateEarly(t *testing.T) {
	c := launch(t, "", nil)
	if err := c.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	c.exits(0)
}

// Without a manager a process stops at once, however it learns of it, and even if its
// service does not.
func TestManagerGone(t *testing.T) {
	for _, mode := range []string{"", "hang"} {
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		c := launch(t, mode, []string{"LISTEN_FDS=1", "LISTEN_FDNAMES=lifeline"}, r)
		r.Close()
		c.mustStart()
		w.Close()
		c.exits(1)
		if !strings.Contains(c.errors(), "the manager is gone") {
			t.Errorf("stderr: %s", c.errors())
		}
	}
	c := launch(t, "", nil)
	c.mustStart()
	c.manager.Close()
	c.exits(1)
	if !strings.Contains(c.errors(), "relay link") {
		t.Errorf("stderr: %s", c.errors())
	}
}

// A start that does not end is no obstacle to SIGTERM.
func TestTerminateWhileStarting(t *testing.T) {
	c := launch(t, "slow start", nil)
	failed := make(chan error, 1)
	go func() { failed <- c.start() }()
	if err := c.manager.Wait(timeout(t), 1, true); err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second one ends the patience
		if err := c.cmd.Process.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		c.says("terminating")
	}
	c.exits(1)
	if err := <-failed; err == nil {
		t.Error("start succeeded")
	}
}

func TestParseInherited(t *testing.T) {
	in, err := parseInherited("5", "slot-0:slot-1:share:lifeline:slot-2")
	if err != nil {
		t.Fatal(err)
	}
	if len(in.Sockets) != 3 || in.Sockets[2] != (Socket{"slot-2", 7}) || in.Share != 5 || in.Lifeline != 6 || len(in.all()) != 5 {
		t.Errorf("inherited %+v", in)
	}
	if in, err = parseInherited("6", "later:tcp:slot-64:slot-07:unix:slot-63"); err != nil || len(in.all()) != 3 || len(in.unknown) != 3 ||
		in.Sockets[0] != (Socket{"tcp", 4}) || in.Sockets[1] != (Socket{"unix", 7}) || in.Sockets[2] != (Socket{"slot-63", 8}) {
		t.Errorf("with names that it does not know: %+v, %v", in, err)
	}
	if in, err = parseInherited("0", ""); err != nil || len(in.all()) != 0 {
		t.Errorf("none: %+v, %v", in, err)
	}
	if in, err = parseInherited("", ""); err != nil || len(in.all()) != 0 {
		t.Errorf("unset: %+v, %v", in, err)
	}
}
