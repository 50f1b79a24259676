package socket

import (
	"context"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"github.com/antano/antano/plugin"
	"github.com/antano/antano/shared"
)

// inChild is set in a re-run of the test binary that may spoil its limits.
const inChild = "SOCKET_TEST_CHILD"

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// Two accept loops share a listener as two processes do.
func TestConnectionsAreBalanced(t *testing.T) {
	sock, addr := listenTCP(t)
	var counts [2]atomic.Int64
	var hosts [2]*fakeHost
	for i := range hosts {
		h := newFakeHost([]plugin.Socket{sock})
		h.above = func() bool { return counts[i].Load() > counts[1-i].Load() }
		h.receive = func(*fakeClient, []byte) error { return nil }
		hosts[i] = h
	}
	for i, h := range hosts {
		count := func(conn int, from net.Addr) {
			if at, ok := from.(*net.TCPAddr); !ok || !at.IP.IsLoopback() || at.Port == 0 {
				t.Errorf("a connection from %v", from)
			}
			counts[i].Add(1)
			unix.Close(conn)
		}
		s := serve(t, h, Config{})
		for l := range s.listeners {
			l.close()
			<-l.gone
		}
		if err := s.AddAcceptHandler(sock, count); err != nil {
			t.Fatal(err)
		}
	}
	const all = 1000
	for range all {
		dial(t, "tcp", addr).Close()
	}
	until(t, "all accepted", func() bool { return counts[0].Load()+counts[1].Load() == all })
	for i := range counts {
		if n := counts[i].Load(); n > all*5/8 {
			t.Fatalf("one loop took %d of %d", n, all)
		}
	}
}

// A process above its share still serves when its siblings do not.
func TestAboveShareServesWhatNobodyTakes(t *testing.T) {
	sock, addr := listenTCP(t)
	h := newFakeHost([]plugin.Socket{sock})
	h.above = func() bool { return true }
	serve(t, h, Config{})
	for range 5 {
		c := dial(t, "tcp", addr)
		write(t, c, "x\n")
		expect(t, c, "x\n")
	}
}

func TestConnectionsAreTuned(t *testing.T) {
	sock, addr := listenTCP(t)
	h := newFakeHost([]plugin.Socket{sock})
	s := serve(t, h, Config{})
	dial(t, "tcp", addr)
	next(t, h.opened)
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.streams {
		c.raw.Control(func(fd uintptr) {
			for name, opt := range map[string][3]int{
				"TCP_NODELAY":  {unix.IPPROTO_TCP, unix.TCP_NODELAY, 1},
				"SO_KEEPALIVE": {unix.SOL_SOCKET, unix.SO_KEEPALIVE, 1},
				"TCP_KEEPIDLE": {unix.IPPROTO_TCP, unix.TCP_KEEPIDLE, keepAliveIdle},
			} {
				if v, err := unix.GetsockoptInt(int(fd), opt[0], opt[1]); err != nil || v != opt[2] {
					t.Errorf("%s is %d, %v; want %d", name, v, err, opt[2])
				}
			}
			if flags, _ := unix.FcntlInt(fd, unix.F_GETFD, 0); flags&unix.FD_CLOEXEC == 0 {
				t.Error("not closed on exec")
			}
		})
	}
}

func TestDrainTakesNoNewConnection(t *testing.T) {
	sock, addr := listenTCP(t)
	h := newFakeHost([]plugin.Socket{sock})
	s := serve(t, h, Config{})
	old := dial(t, "tcp", addr)
	next(t, h.opened)
	if err := s.Drain(t.Context()); err != nil {
		t.Fatal(err)
	}
	dial(t, "tcp", addr) // the manager's listener still takes it
	write(t, old, "still served\n")
	expect(t, old, "still served\n")
	if h.count() != 1 {
		t.Fatalf("%d clients, want 1", h.count())
	}
	flags, err := unix.FcntlInt(uintptr(sock.FD), unix.F_GETFL, 0)
	if err != nil || flags&unix.O_NONBLOCK == 0 {
		t.Fatalf("the inherited socket is blocking now: %#x, %v", flags, err)
	}
}

func TestStopEndsEverything(t *testing.T) {
	tcp, addr := listenTCP(t)
	h := newFakeHost([]plugin.Socket{tcp})
	started := make(chan struct{})
	ended := make(chan error, 1)
	s := New(Config{OnReceivedMessage: func(ctx context.Context, _ []byte, _ string, _ plugin.Client) ([]byte, error) {
		close(started)
		<-ctx.Done()
		ended <- ctx.Err()
		return nil, nil
	}})
	if err := s.Start(t.Context(), h); err != nil {
		t.Fatal(err)
	}
	c := dial(t, "tcp", addr)
	write(t, c, "x\n")
	for range 20 {
		dial(t, "tcp", addr)
	}
	<-started
	if err := s.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err != context.Canceled {
		t.Fatalf("the author's call ended with %v", err)
	}
	if err := s.Stop(t.Context()); err != nil {
		t.Fatalf("second stop: %v", err)
	}
	if err := s.AddSockets([]plugin.Socket{tcp}); err == nil {
		t.Fatal("a stopped service took a socket")
	}
	if n := h.count(); n != 0 {
		t.Fatalf("%d clients after stop", n)
	}
}

func TestHealthSeesAHangingLoop(t *testing.T) {
	s := New(Config{})
	h := newFakeHost(nil)
	s.host = h
	l := &listener{acceptor: acceptor{name: "tcp"}}
	s.listeners[l] = struct{}{}
	if err := s.Health(); err != nil {
		t.Fatal(err)
	}
	l.round.since.Store(time.Now().Add(-loopTimeout - time.Second).UnixNano())
	if err := s.Health(); err == nil || !strings.Contains(err.Error(), "tcp") {
		t.Fatalf("got %v", err)
	}
	l.round.end()
	ctx, end := s.calls.begin(h.timeout)
	if at, ok := ctx.Deadline(); !ok || time.Until(at) > h.timeout {
		t.Errorf("the call's deadline is %v, %t", at, ok)
	}
	for id, c := range s.calls.running {
		c.began = time.Now().Add(-h.timeout - time.Second)
		s.calls.running[id] = c
	}
	if err := s.Health(); err == nil {
		t.Fatal("an old call is healthy")
	}
	h.timeout = 0
	if err := s.Health(); err != nil {
		t.Fatalf("no timeout: %v", err)
	}
	end()
	if err := s.Health(); err != nil {
		t.Fatal(err)
	}
}

func TestBadSockets(t *testing.T) {
	blocking, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(blocking)
	sockets, _ := listenSlots(t, 2, loopback)
	sockets[1].Name = "slot-64"
	for _, bad := range [][]plugin.Socket{
		{{Name: "tcp", FD: blocking}},
		{{Name: "tcp", FD: 9999}},
		{sockets[0], sockets[0]},
		sockets,
	} {
		if err := New(Config{}).Start(t.Context(), newFakeHost(bad)); err == nil {
			t.Errorf("%v: started", bad)
		}
	}
}

func TestLinesCarryNoBinary(t *testing.T) {
	sock, _ := listenTCP(t)
	h := newFakeHost([]plugin.Socket{sock})
	h.params.MessageFormatOut, h.params.FramingOut = shared.FormatMsgpack, shared.FramingLine
	if err := New(Config{}).Start(t.Context(), h); err == nil || !strings.Contains(err.Error(), "length32") {
		t.Fatalf("got %v", err)
	}
}

// Out of descriptors: who connects is told, and served again when there are some.
func TestOutOfDescriptors(t *testing.T) {
	if os.Getenv(inChild) == "" {
		cmd := exec.Command(os.Args[0], "-test.run=^TestOutOfDescriptors$", "-test.v")
		cmd.Env = append(os.Environ(), inChild+"=1")
		out, err := cmd.CombinedOutput()
		if err != nil || !strings.Contains(string(out), "--- PASS") {
			t.Fatalf("%v\n%s", err, out)
		}
		return
	}
	sock, addr := listenTCP(t)
	h := newFakeHost([]plugin.Socket{sock})
	serve(t, h, Config{})
	var idle []net.Conn
	first := dial(t, "tcp", addr)
	write(t, first, "x\n")
	expect(t, first, "x\n")
	next(t, h.opened)
	for range 3 {
		idle = append(idle, dial(t, "tcp", addr))
		next(t, h.opened)
	}
	// Clients exist already as sockets, so that only the service needs descriptors.
	var fds []int
	for range 3 {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer unix.Close(fd)
		fds = append(fds, fd)
	}
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	low := limit
	low.Cur = uint64(highest(t)) + 1
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &low); err != nil {
		t.Fatal(err)
	}
	var hole []int
	for { // fill what is free below the limit
		fd, err := unix.Dup(sock.FD)
		if err != nil {
			break
		}
		hole = append(hole, fd)
	}
	to, _ := unix.Getsockname(sock.FD)
	timeout := unix.Timeval{Sec: 10}
	for i, fd := range fds[:2] {
		unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &timeout)
		if err := unix.Connect(fd, to); err != nil {
			t.Fatal(err)
		}
		buf := make([]byte, 1000)
		n, err := unix.Read(fd, buf)
		if err != nil || !strings.Contains(string(buf[:max(n, 0)]), "overloaded") {
			t.Fatalf("connection %d got %q, %v", i, buf[:max(n, 0)], err)
		}
		if n, err = unix.Read(fd, buf); n != 0 {
			t.Fatalf("connection %d is open: %d, %v", i, n, err)
		}
	}
	if n := h.dropped(shared.CodeOverloaded); n != 2 {
		t.Fatalf("%d refusals counted, want 2", n)
	}
	write(t, first, "y\n")
	expect(t, first, "y\n")
	// No busy loop while nothing connects.
	before, began := cpu(t), time.Now()
	until(t, "a while is over", func() bool { return time.Since(began) > 200*time.Millisecond })
	if used := cpu(t) - before; used > 100*time.Millisecond {
		t.Fatalf("%s of processor time while idle", used)
	}
	for _, fd := range hole {
		unix.Close(fd)
	}
	unix.Setrlimit(unix.RLIMIT_NOFILE, &limit)
	if err := unix.Connect(fds[2], to); err != nil {
		t.Fatal(err)
	}
	next(t, h.opened)
	idle[0].Close()
}

func highest(t *testing.T) (top int) {
	t.Helper()
	for fd := range 4096 {
		if _, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err == nil {
			top = fd
		}
	}
	return top
}

func cpu(t *testing.T) time.Duration {
	t.Helper()
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
