package listener

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/antano/antano/shared"
)

// give announces sockets as systemd does, but from another descriptor on.
func give(t *testing.T, names string, fds ...int) (*Given, error) {
	t.Helper()
	const first = 500
	for i, fd := range fds {
		if err := unix.Dup3(fd, first+i, 0); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("LISTEN_PID", strconv.Itoa(os.Getpid()))
	t.Setenv("LISTEN_FDS", strconv.Itoa(len(fds)))
	t.Setenv("LISTEN_FDNAMES", names)
	g, err := takeGiven(first)
	if _, ok := os.LookupEnv("LISTEN_FDS"); ok {
		t.Error("LISTEN_FDS is still set")
	}
	t.Cleanup(func() {
		if g != nil {
			g.Close()
		}
		for i := range fds {
			unix.Close(first + i)
		}
	})
	return g, err
}

func socketOn(t *testing.T, typ int, sa unix.Sockaddr, reusePort int) int {
	t.Helper()
	domain := map[bool]int{true: unix.AF_INET6, false: unix.AF_INET}[fmt.Sprintf("%T", sa) == "*unix.SockaddrInet6"]
	if _, ok := sa.(*unix.SockaddrUnix); ok {
		domain = unix.AF_UNIX
	}
	fd, err := unix.Socket(domain, typ|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	if reusePort == 1 {
		if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEPORT, 1); err != nil {
			t.Fatal(err)
		}
	}
	if err := unix.Bind(fd, sa); err != nil {
		t.Fatal(err)
	}
	if typ != unix.SOCK_DGRAM {
		if err := unix.Listen(fd, 5); err != nil {
			t.Fatal(err)
		}
	}
	return fd
}

func portOfFD(t *testing.T, fd int) int {
	t.Helper()
	sa, err := unix.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	return int(portOf(sa))
}

func TestGiven(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	tcp := socketOn(t, unix.SOCK_STREAM, &unix.SockaddrInet6{}, 0) // `::`, for all
	udp := socketOn(t, unix.SOCK_DGRAM, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}, 1)
	seq := socketOn(t, unix.SOCK_SEQPACKET, &unix.SockaddrUnix{Name: path}, 0)
	named := socketOn(t, unix.SOCK_STREAM, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}, 0)
	g, err := give(t, "a.socket:a.socket:a.socket:chat", tcp, udp, seq, named)
	if err != nil {
		t.Fatal(err)
	}
	if n := len(g.Unused()); n != 4 {
		t.Errorf("%d are unused", n)
	}
	take := func(group *Group, err error) *Group {
		t.Helper()
		if err != nil || group == nil {
			t.Fatal(group, err)
		}
		t.Cleanup(group.Close)
		return group
	}
	port := portOfFD(t, tcp)
	a := take(g.Bind("web", port, "0.0.0.0", TCP, 0))
	if want := fmt.Sprintf("0.0.0.0:%d", port); a.Address() != want || a.Sockets()[0].Name != "tcp" {
		t.Errorf("%s with %v, want %s", a.Address(), a.Sockets(), want)
	}
	b := take(g.Bind("u", portOfFD(t, udp), "127.0.0.1", UDP, 0))
	if len(b.Sockets()) != Slots || b.Sockets()[63].Name != "slot-63" {
		t.Errorf("udp has %d sockets", len(b.Sockets()))
	}
	take(g.BindUnixSocket("x", path, shared.SocketSeqpacket, 0))
	c := take(g.Bind("chat", 0, "127.0.0.1", TCP, 0)) // by its name
	if want := fmt.Sprintf("127.0.0.1:%d", portOfFD(t, named)); c.Address() != want {
		t.Errorf("chat is at %s, want %s", c.Address(), want)
	}
	if left := g.Unused(); len(left) != 0 {
		t.Errorf("unused are %q", left)
	}
	for _, s := range slices.Concat(a.Sockets(), b.Sockets()) {
		flags, err := unix.FcntlInt(uintptr(s.FD), unix.F_GETFL, 0)
		cloexec, err2 := unix.FcntlInt(uintptr(s.FD), unix.F_GETFD, 0)
		if err != nil || err2 != nil || flags&unix.O_NONBLOCK == 0 || cloexec != unix.FD_CLOEXEC {
			t.Errorf("%s has flags %#x and %#x", s.Name, flags, cloexec)
		}
	}
	for _, group := range []*Group{a, c} {
		group.Refuse()
		group.Close()
	}
	conn, err := net.Dial("tcp", c.Address()) // it waits for the next process
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
	if again := take(g.Bind("chat", 0, "127.0.0.1", TCP, 0)); again.Address() != c.Address() {
		t.Errorf("the second time it is at %s", again.Address())
	}
}

func TestGivenThatDoesNotFit(t *testing.T) {
	local := [4]byte{127, 0, 0, 1}
	tcp := socketOn(t, unix.SOCK_STREAM, &unix.SockaddrInet4{Addr: local}, 0)
	udp := socketOn(t, unix.SOCK_DGRAM, &unix.SockaddrInet4{Addr: local}, 0)
	g, err := give(t, "chat:alone", tcp, udp)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := g.Bind("chat", 1, "127.0.0.1", TCP, 0); err == nil || !strings.Contains(err.Error(), "change the socket unit or the row") {
		t.Errorf("another address: %v", err)
	}
	if _, err := g.Bind("u", portOfFD(t, udp), "127.0.0.1", UDP, 0); err == nil || !strings.Contains(err.Error(), "ReusePort=yes") {
		t.Errorf("a port that is not shared: %v", err)
	}
	for _, c := range []struct {
		port    int
		address string
		network string
	}{{portOfFD(t, tcp), "127.0.0.2", TCP}, {portOfFD(t, tcp), "127.0.0.1", UDP}, {1, "127.0.0.1", TCP}, {0, "127.0.0.1", TCP}} {
		if group, err := g.Bind("other", c.port, c.address, c.network, 0); group != nil || err != nil {
			t.Errorf("%+v: %v, %v", c, group, err)
		}
	}
	file, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if _, err := give(t, "x", int(file.Fd())); err == nil || !strings.Contains(err.Error(), "no socket") {
		t.Errorf("a file: %v", err)
	}
	var none *Given
	if group, err := none.Bind("a", 1, "", TCP, 0); group != nil || err != nil {
		t.Error(group, err)
	}
	t.Setenv("LISTEN_PID", "1")
	t.Setenv("LISTEN_FDS", "1")
	if g, err := TakeGiven(); err != nil || len(g.Unused()) > 0 {
		t.Errorf("sockets of another process are taken: %v", err)
	}
}

// TestClaim finds the sockets of a predecessor among those that are given again.
func TestClaim(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	fd := socketOn(t, unix.SOCK_STREAM, &unix.SockaddrUnix{Name: path}, 0)
	dup, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.SetNonblock(dup, true); err != nil {
		t.Fatal(err)
	}
	group, err := Take(path, []Socket{{"unix", dup}})
	if err != nil {
		t.Fatal(err)
	}
	g, err := give(t, "", fd)
	if err != nil {
		t.Fatal(err)
	}
	g.Claim(group)
	if left := g.Unused(); len(left) > 0 {
		t.Errorf("unused are %q", left)
	}
	group.Refuse()
	group.Close()
	conn, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
}
