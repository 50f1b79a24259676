package listener

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func openBind(t *testing.T, port int, address, network string) *Group {
	t.Helper()
	g, err := Bind(port, address, network, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(g.Close)
	return g
}

func TestBindTCPAccepts(t *testing.T) {
	for _, host := range []string{"127.0.0.1", "::1", "0.0.0.0", "::", "", "localhost"} {
		t.Run(host, func(t *testing.T) {
			g := openBind(t, 0, host, TCP)
			at := netip.MustParseAddrPort(g.Address())
			if at.Port() == 0 || len(g.Sockets()) != 1 || g.Sockets()[0].Name != "tcp" {
				t.Fatalf("group %s %v", g.Address(), g.Sockets())
			}
			checkFlags(t, g.Sockets()[0].FD)
			to := at.Addr()
			if to.IsUnspecified() {
				to = netip.MustParseAddr("127.0.0.1") // `::` takes IPv4 too
			}
			conn, err := net.DialTimeout("tcp", netip.AddrPortFrom(to, at.Port()).String(), 5*time.Second)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			if err := poll(g.Sockets()[0].FD); err != nil {
				t.Fatal(err)
			}
			fd, _, err := unix.Accept4(g.Sockets()[0].FD, unix.SOCK_CLOEXEC)
			if err != nil {
				t.Fatal(err)
			}
			unix.Close(fd)
		})
	}
}

func TestPortInUse(t *testing.T) {
	for _, network := range []string{TCP, UDP} {
		t.Run(network, func(t *testing.T) {
			g := openBind(t, 0, "127.0.0.1", network)
			port := int(netip.MustParseAddrPort(g.Address()).Port())
			before := openDescriptors(t)
			_, err := Bind(port, "127.0.0.1", network, 0)
			want := fmt.Sprintf("%s address 127.0.0.1:%d is in use by another process; stop it or change port", network, port)
			if err == nil || !strings.HasPrefix(err.Error(), want) || !errors.Is(err, unix.EADDRINUSE) {
				t.Fatalf("got %v, want %s", err, want)
			}
			if after := openDescriptors(t); after != before {
				t.Fatalf("%d descriptors left", after-before)
			}
			g.Close()
			again, err := Bind(port, "127.0.0.1", network, 0)
			if err != nil {
				t.Fatalf("after Close: %v", err)
			}
			again.Close()
		})
	}
}

func TestBindRefuses(t *testing.T) {
	for _, c := range []struct {
		port          int
		host, network string
		want          string
	}{
		{-1, "127.0.0.1", TCP, "port -1 is out of range"},
		{65536, "127.0.0.1", TCP, "port 65536 is out of range"},
		{0, "127.0.0.1", "sctp", `network "sctp" is unknown`},
		{0, "192.0.2.1", TCP, "is not an address of this machine; change host"},
		{0, "fe80::1%nowhere0", UDP, `zone "nowhere0" is not an interface`},
		{0, "no such host", TCP, `host "no such host" cannot be resolved; write an IP address as host`},
	} {
		g, err := Bind(c.port, c.host, c.network, 0)
		if err == nil {
			g.Close()
		}
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("Bind(%d, %q, %q): %v, want %q", c.port, c.host, c.network, err, c.want)
		}
	}
}

// TestSlots sends from many sources: every flow stays on one slot, and the first
// slot, which was bound before it shared the port, gets its part.
func TestSlots(t *testing.T) {
	for _, host := range []string{"127.0.0.1", "::1", "::", "0.0.0.0"} {
		t.Run(host, func(t *testing.T) {
			g := openBind(t, 0, host, UDP)
			if len(g.Sockets()) != Slots {
				t.Fatalf("%d sockets", len(g.Sockets()))
			}
			at := netip.MustParseAddrPort(g.Address())
			to := at.Addr()
			if to.IsUnspecified() {
				to = netip.MustParseAddr("127.0.0.1")
			}
			const flows, each = 2000, 2
			for range flows {
				conn, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(netip.AddrPortFrom(to, at.Port())))
				if err != nil {
					t.Fatal(err)
				}
				for range each {
					if _, err := conn.Write([]byte("x")); err != nil {
						t.Fatal(err)
					}
				}
				conn.Close()
			}
			total, used := 0, 0
			slotOf := map[uint16]int{}
			for i, s := range g.Sockets() {
				if s.Name != fmt.Sprintf("slot-%d", i) {
					t.Errorf("socket %d is %q", i, s.Name)
				}
				checkFlags(t, s.FD)
				n := drain(t, s.FD, i, slotOf)
				total += n
				if n > 0 {
					used++
				}
				if i == 0 && n == 0 {
					t.Error("slot 0 got nothing")
				}
			}
			if total != flows*each || used != Slots {
				t.Errorf("%d of %d datagrams over %d of %d slots", total, flows*each, used, Slots)
			}
		})
	}
}

// drain reads what one slot holds. Source ports are used again by later flows, so
// only a port whose datagrams are on two slots is wrong.
func drain(t *testing.T, fd, slot int, slotOf map[uint16]int) (n int) {
	buf := make([]byte, 16)
	for {
		_, from, err := unix.Recvfrom(fd, buf, 0)
		if err == unix.EAGAIN {
			return n
		}
		if err != nil {
			t.Fatal(err)
		}
		port := portOf(from)
		if at, ok := slotOf[port]; ok && at != slot {
			t.Errorf("source port %d on slots %d and %d", port, at, slot)
		}
		slotOf[port] = slot
		n++
	}
}

func TestSlotOptions(t *testing.T) {
	for _, c := range []struct {
		host                       string
		level, option, wantPktinfo int
	}{
		{"0.0.0.0", unix.IPPROTO_IP, unix.IP_PKTINFO, 1},
		{"127.0.0.1", unix.IPPROTO_IP, unix.IP_PKTINFO, 0},
		{"::", unix.IPPROTO_IPV6, unix.IPV6_RECVPKTINFO, 1},
		{"::1", unix.IPPROTO_IPV6, unix.IPV6_RECVPKTINFO, 0},
	} {
		g := openBind(t, 0, c.host, UDP)
		for _, s := range []Socket{g.Sockets()[0], g.Sockets()[Slots-1]} {
			if got := option(t, s.FD, c.level, c.option); got != c.wantPktinfo {
				t.Errorf("%s %s: packet info %d, want %d", c.host, s.Name, got, c.wantPktinfo)
			}
			if option(t, s.FD, unix.SOL_SOCKET, unix.SO_RXQ_OVFL) != 1 {
				t.Errorf("%s %s: no overflow counter", c.host, s.Name)
			}
			if option(t, s.FD, unix.SOL_SOCKET, unix.SO_REUSEPORT) != 1 {
				t.Errorf("%s %s: the port is not shared", c.host, s.Name)
			}
			if got := option(t, s.FD, unix.SOL_SOCKET, unix.SO_RCVBUF); os.Getuid() == 0 && got < receiveBuffer {
				t.Errorf("%s %s: receive buffer %d", c.host, s.Name, got)
			}
		}
	}
}

func option(t *testing.T, fd, level, opt int) int {
	t.Helper()
	v, err := unix.GetsockoptInt(fd, level, opt)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func checkFlags(t *testing.T, fd int) {
	t.Helper()
	fl, err := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0)
	if err != nil || fl&unix.O_NONBLOCK == 0 {
		t.Errorf("descriptor %d blocks (%v)", fd, err)
	}
	if fl, err = unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err != nil || fl&unix.FD_CLOEXEC == 0 {
		t.Errorf("descriptor %d survives exec (%v)", fd, err)
	}
}

func poll(fd int) error {
	fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
	n, err := unix.Poll(fds, 5000)
	if err == nil && n == 0 {
		err = errors.New("nothing to read within 5 s")
	}
	return err
}

func openDescriptors(t *testing.T) int {
	t.Helper()
	list, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(list)
}
