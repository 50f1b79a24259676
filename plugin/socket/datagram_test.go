package socket

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/antano/antano/plugin"
	"github.com/antano/antano/shared"
)

// listenSlots opens n SO_REUSEPORT sockets on one loopback port, and returns the
// address.
func listenSlots(t *testing.T, n int, ip [4]byte) ([]plugin.Socket, string) {
	t.Helper()
	var sockets []plugin.Socket
	port := 0
	for i := range n {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { unix.Close(fd) })
		if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEPORT, 1); err != nil {
			t.Fatal(err)
		}
		if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: ip, Port: port}); err != nil {
			t.Fatal(err)
		}
		sa, _ := unix.Getsockname(fd)
		port = sa.(*unix.SockaddrInet4).Port
		sockets = append(sockets, plugin.Socket{Name: fmt.Sprintf("slot-%d", i), FD: fd})
	}
	return sockets, boundTo(t, sockets[0])
}

var loopback = [4]byte{127, 0, 0, 1}

func read(t *testing.T, c net.Conn, want string) {
	t.Helper()
	buf := make([]byte, 1<<17)
	n, err := c.Read(buf)
	if err != nil || string(buf[:n]) != want {
		t.Fatalf("got %.60q (%d), %v; want %.60q", buf[:n], n, err, want)
	}
}

func TestDatagramsComeBack(t *testing.T) {
	sockets, addr := listenSlots(t, 4, loopback)
	h := newFakeHost(sockets)
	s := serve(t, h, Config{})
	if err := s.AssignSlots(1<<4 - 1); err != nil {
		t.Fatal(err)
	}
	if !h.config.Datagram || h.config.MaxFrame != maxUDPDatagram {
		t.Fatalf("endpoint %+v", h.config)
	}
	for range 10 {
		c := dial(t, "udp", addr)
		for i := range 10 {
			write(t, c, "") // keep-alive
			write(t, c, fmt.Sprint(i))
			read(t, c, fmt.Sprint(i))
		}
	}
	if n := h.count(); n != 10 {
		t.Fatalf("%d clients, want 10", n)
	}
}

func TestTruncatedDatagram(t *testing.T) {
	for _, network := range []string{"udp", "unixgram"} {
		t.Run(network, func(t *testing.T) {
			var h *fakeHost
			var c net.Conn
			if network == "udp" {
				sockets, addr := listenSlots(t, 1, loopback)
				h = newFakeHost(sockets)
				c = dial(t, network, addr)
			} else {
				sock, path := listenUnix(t, unix.SOCK_DGRAM)
				h = newFakeHost([]plugin.Socket{sock})
				c = dialUnixgram(t, path)
			}
			h.params.Limits.MaxMessageBytes = 100
			s := serve(t, h, Config{})
			s.AssignSlots(1)
			write(t, c, string(make([]byte, 101)))
			read(t, c, `{"type":"error","code":"too_large"}`)
			m := string(bytes.Repeat([]byte{'m'}, 100))
			write(t, c, m)
			read(t, c, m)
		})
	}
}

func dialUnixgram(t *testing.T, path string) net.Conn {
	t.Helper()
	local := &net.UnixAddr{Name: filepath.Join(filepath.Dir(path), "c"), Net: "unixgram"}
	c, err := net.DialUnix("unixgram", local, &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(testTime))
	return c
}

func TestWildcardAnswersFromTheAddressAsked(t *testing.T) {
	sockets, addr := listenSlots(t, 1, [4]byte{})
	h := newFakeHost(sockets)
	s := serve(t, h, Config{})
	s.AssignSlots(1)
	_, port, _ := net.SplitHostPort(addr)
	local, err := net.ListenPacket("udp4", "0.0.0.0:0")
	if err != nil {
		t.Fatal(err)
	}
	defer local.Close()
	local.SetDeadline(time.Now().Add(testTime))
	for _, ip := range []string{"127.0.0.1", "127.0.0.2", "127.0.0.3"} {
		to, _ := net.ResolveUDPAddr("udp4", net.JoinHostPort(ip, port))
		if _, err := local.WriteTo([]byte(ip), to); err != nil {
			t.Fatal(err)
		}
		buf := make([]byte, 100)
		n, from, err := local.ReadFrom(buf)
		if err != nil || string(buf[:n]) != ip || from.String() != to.String() {
			t.Fatalf("asked %s, answered %q from %v, %v", to, buf[:n], from, err)
		}
	}
}

func TestDualStackWildcard(t *testing.T) {
	sock := listen(t, "slot-0", unix.AF_INET6, unix.SOCK_DGRAM, &unix.SockaddrInet6{})
	h := newFakeHost([]plugin.Socket{sock})
	s := serve(t, h, Config{})
	s.AssignSlots(1)
	_, port, _ := net.SplitHostPort(boundTo(t, sock))
	for _, ip := range []string{"127.0.0.2", "::1"} {
		c := dial(t, "udp", net.JoinHostPort(ip, port))
		write(t, c, ip)
		read(t, c, ip)
		if client := next(t, h.opened); client.address != c.LocalAddr().String() {
			t.Fatalf("client %s, want %s", client.address, c.LocalAddr())
		}
	}
}

func TestAssignSlotsHandsOver(t *testing.T) {
	sockets, addr := listenSlots(t, 1, loopback)
	old, fresh := newFakeHost(sockets), newFakeHost(sockets)
	a, b := serve(t, old, Config{}), serve(t, fresh, Config{})
	c := dial(t, "udp", addr)
	hosts := []*fakeHost{old, fresh}
	for i := range 20 {
		from, to := []*SocketService{a, b}[i%2], []*SocketService{b, a}[i%2]
		if err := from.AssignSlots(0); err != nil {
			t.Fatal(err)
		}
		if err := to.AssignSlots(1); err != nil {
			t.Fatal(err)
		}
		before := countReceived(hosts[i%2])
		write(t, c, fmt.Sprint(i))
		read(t, c, fmt.Sprint(i))
		if n := countReceived(hosts[i%2]); n != before {
			t.Fatal("a slot was read after AssignSlots had taken it away")
		}
	}
}

func countReceived(h *fakeHost) (n int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for c := range h.clients {
		n += len(c.all())
	}
	return n
}

// A source whose slot goes to another process is retired, so that it is not a member of
// its groups twice; what is owed to it still goes out. When the slot comes back it is a
// new client.
func TestSourceIsRetiredWhenItsSlotGoes(t *testing.T) {
	sockets, addr := listenSlots(t, 1, loopback)
	h := newFakeHost(sockets)
	s := serve(t, h, Config{})
	s.AssignSlots(1)
	c := dial(t, "udp", addr)
	write(t, c, "x")
	read(t, c, "x")
	first := next(t, h.opened)
	first.owed.Store(1)
	s.AssignSlots(1)
	if first.retired {
		t.Fatal("retired with its slot read on")
	}
	s.AssignSlots(0)
	if !first.retired || !errors.Is(first.cause, errMoved) {
		t.Fatalf("retired %t, cause %v", first.retired, first.cause)
	}
	if err := first.Send([]byte("late")); err != nil {
		t.Fatal(err)
	}
	first.Flush()
	read(t, c, "late")
	s.AssignSlots(1)
	write(t, c, "y")
	read(t, c, "y")
	if second := next(t, h.opened); second == first {
		t.Fatal("a retired client received")
	}
	first.w.Close()
	first.Close(nil)
	write(t, c, "z")
	read(t, c, "z")
	if n := h.count(); n != 1 {
		t.Fatalf("%d clients", n)
	}
}

func TestIdleSourcesAreForgotten(t *testing.T) {
	sockets, addr := listenSlots(t, 1, loopback)
	h := newFakeHost(sockets)
	h.params.Limits.IdleTimeout = 100 * time.Millisecond
	s := serve(t, h, Config{})
	s.AssignSlots(1)
	c := dial(t, "udp", addr)
	write(t, c, "x")
	read(t, c, "x")
	if c := next(t, h.ended); !errors.Is(c.cause, errIdle) {
		t.Fatalf("cause %v", c.cause)
	}
	until(t, "table empty", func() bool {
		sl := s.allSlots()[0]
		sl.mu.Lock()
		defer sl.mu.Unlock()
		return len(sl.sources) == 0
	})
	write(t, c, "y")
	read(t, c, "y")
}

func TestClosedSourceIsANewClient(t *testing.T) {
	sockets, addr := listenSlots(t, 1, loopback)
	h := newFakeHost(sockets)
	s := serve(t, h, Config{})
	s.AssignSlots(1)
	c := dial(t, "udp", addr)
	write(t, c, "x")
	read(t, c, "x")
	first := next(t, h.opened)
	first.Close(errors.New("kicked"))
	write(t, c, "y")
	read(t, c, "y")
	if second := next(t, h.opened); second.id == first.id {
		t.Fatal("the id was used again")
	}
	// The Writer's Close forgets the source too.
	client := answerable(h)
	client.w.Close()
	client.Close(nil)
	write(t, c, "z")
	read(t, c, "z")
}

func TestDatagramRefusalsAreLimited(t *testing.T) {
	sockets, addr := listenSlots(t, 1, loopback)
	h := newFakeHost(sockets)
	h.refuse = shared.Errorf(shared.CodeShuttingDown, "draining")
	s := serve(t, h, Config{})
	s.AssignSlots(1)
	c := dial(t, "udp", addr)
	write(t, c, `{"type":"ping","id":"mine"}`)
	if answer := answerOf(t, c); !strings.Contains(answer, `"id":"mine"`) {
		t.Errorf("got %s, want the id of the message", answer)
	}
	const sent = 1000
	for i := range sent {
		write(t, c, "x")
		if i%100 == 99 {
			until(t, "datagrams read", func() bool { return h.dropped(shared.CodeShuttingDown) == i+2 })
		}
	}
	c.SetReadDeadline(time.Now())
	answers := 0
	buf := make([]byte, 1000)
	for {
		c.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
		n, err := c.Read(buf)
		if err != nil {
			break
		}
		if !bytes.Contains(buf[:n], []byte("shutting_down")) {
			t.Fatalf("got %q", buf[:n])
		}
		answers++
	}
	if answers == 0 || answers > 300 {
		t.Fatalf("%d answers to %d datagrams", answers, sent)
	}
}

func answerOf(t *testing.T, c net.Conn) string {
	t.Helper()
	buf := make([]byte, 1000)
	n, err := c.Read(buf)
	if err != nil {
		t.Fatal(err)
	}
	return string(buf[:n])
}

func TestOnReceivedMessageOfDatagrams(t *testing.T) {
	sockets, addr := listenSlots(t, 1, loopback)
	h := newFakeHost(sockets)
	s := serve(t, h, Config{OnReceivedMessage: func(_ context.Context, m []byte, address string, _ plugin.Client) ([]byte, error) {
		return []byte(address + " said " + string(m)), nil
	}})
	s.AssignSlots(1)
	c := dial(t, "udp", addr)
	write(t, c, "hello")
	read(t, c, c.LocalAddr().String()+" said hello")
	client := next(t, h.opened)
	until(t, "the call settled", func() bool { return !client.Owed() })
	client.mu.Lock()
	if client.taken != len("hello") {
		t.Errorf("%d bytes counted", client.taken)
	}
	client.mu.Unlock()
	client.owed.Store(1)
	client.Retire(nil)
	write(t, c, "more")
	read(t, c, `{"type":"error","code":"shutting_down"}`)
	client.Close(nil)
	write(t, c, "new")
	read(t, c, c.LocalAddr().String()+" said new")
}

func TestKernelDropsAreCounted(t *testing.T) {
	sockets, addr := listenSlots(t, 1, loopback)
	if err := unix.SetsockoptInt(sockets[0].FD, unix.SOL_SOCKET, unix.SO_RCVBUF, 4096); err != nil {
		t.Fatal(err)
	}
	h := newFakeHost(sockets)
	h.receive = func(*fakeClient, []byte) error { return nil }
	s := serve(t, h, Config{})
	c := dial(t, "udp", addr)
	for range 100 {
		write(t, c, string(make([]byte, 1000)))
	}
	s.AssignSlots(1)
	until(t, "drops counted", func() bool { return h.dropped(shared.CodeKernel) > 0 })
	first := h.dropped(shared.CodeKernel)
	client := next(t, h.opened)
	until(t, "the rest received", func() bool { return len(client.all())+first == 100 })
	// What another process counted while it read the slot is not counted again.
	s.AssignSlots(0)
	for range 100 {
		write(t, c, string(make([]byte, 1000)))
	}
	s.AssignSlots(1)
	s.AssignSlots(0)
	if n := h.dropped(shared.CodeKernel); n != first {
		t.Fatalf("counted %d, then %d", first, n)
	}
}
