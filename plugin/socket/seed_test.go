package socket

import (
	"net"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/antano/antano/plugin"
	"github.com/antano/antano/shared"
)

// The tests of this file show the methods of the seed that no other test calls by
// their names; docs/seed-mapping.md lists all.

func TestCanSend(t *testing.T) {
	for _, can := range []bool{false, true} {
		s := New(Config{Description: shared.Description{CanSend: can}})
		if s.CanSend() != can || s.Describe().CanSend != can {
			t.Errorf("described with %t: CanSend is %t, the description says %t", can, s.CanSend(), s.Describe().CanSend)
		}
	}
}

// TestAddSockets adds a socket to a service that runs.
func TestAddSockets(t *testing.T) {
	t.Run("stream", func(t *testing.T) {
		first, _ := listenTCP(t)
		s := serve(t, newFakeHost([]plugin.Socket{first}), Config{})
		second, address := listenTCP(t)
		if err := s.AddSockets([]plugin.Socket{second}); err != nil {
			t.Fatal(err)
		}
		c := dial(t, "tcp", address)
		write(t, c, "hello\n")
		expect(t, c, "hello\n")
	})
	t.Run("datagram", func(t *testing.T) {
		sockets, _ := listenSlots(t, 1, loopback)
		s := serve(t, newFakeHost(sockets), Config{})
		more, address := listenSlots(t, 1, loopback)
		more[0].Name = "slot-1"
		if err := s.AddSockets(more); err != nil {
			t.Fatal(err)
		}
		if err := s.AssignSlots(1 << 1); err != nil {
			t.Fatal(err)
		}
		c := dial(t, "udp", address)
		write(t, c, "hello")
		read(t, c, "hello")
	})
}

// TestAddSocketsOfOneKind refuses what clients of the service could not be served on.
func TestAddSocketsOfOneKind(t *testing.T) {
	tcp, _ := listenTCP(t)
	udp, _ := listenSlots(t, 1, loopback)
	packet, _ := listenUnix(t, unix.SOCK_SEQPACKET)
	s := serve(t, newFakeHost([]plugin.Socket{tcp}), Config{})
	for _, sock := range []plugin.Socket{udp[0], packet} {
		if err := s.AddSockets([]plugin.Socket{sock}); err == nil {
			t.Errorf("a service of streams took %s", sock.Name)
		}
	}
	s = serve(t, newFakeHost(udp), Config{})
	if err := s.AddSockets([]plugin.Socket{tcp}); err == nil {
		t.Error("a service of datagrams took a listener")
	}
}

// TestAddAcceptHandlerOfDatagrams gives a datagram socket to the callback, as often as
// datagrams wait.
func TestAddAcceptHandlerOfDatagrams(t *testing.T) {
	for _, network := range []string{"udp", "unixgram"} {
		t.Run(network, func(t *testing.T) {
			var sock plugin.Socket
			var c net.Conn
			if network == "udp" {
				sockets, address := listenSlots(t, 1, loopback)
				sock, c = sockets[0], dial(t, "udp", address)
			} else {
				var path string
				sock, path = listenUnix(t, unix.SOCK_DGRAM)
				c = dialUnixgram(t, path)
			}
			s := serve(t, newFakeHost(nil), Config{})
			write(t, c, "before")
			got := make(chan string, 10)
			err := s.AddAcceptHandler(sock, func(fd int, from net.Addr) {
				buf := make([]byte, 100)
				n, sender, err := unix.Recvfrom(fd, buf, unix.MSG_DONTWAIT)
				if fd != sock.FD || from != nil || err != nil {
					t.Errorf("descriptor %d from %v: %v", fd, from, err)
					return
				}
				unix.Sendto(fd, buf[:n], 0, sender)
				got <- string(buf[:n])
			})
			if err != nil {
				t.Fatal(err)
			}
			for _, want := range []string{"before", "two", "three"} {
				if want != "before" {
					write(t, c, want)
				}
				read(t, c, want)
				if is := <-got; is != want {
					t.Errorf("got %s, want %s", is, want)
				}
			}
		})
	}
}

// TestAcceptHandlerPanics loses the connection that the callback panicked over, and no other.
func TestAcceptHandlerPanics(t *testing.T) {
	first, _ := listenTCP(t)
	h := newFakeHost([]plugin.Socket{first})
	s := serve(t, h, Config{})
	sock, address := listenTCP(t)
	accepted := make(chan int, 2)
	if err := s.AddAcceptHandler(sock, func(conn int, _ net.Addr) {
		if accepted <- conn; len(accepted) == 1 {
			panic("first")
		}
	}); err != nil {
		t.Fatal(err)
	}
	dial(t, "tcp", address)
	dial(t, "tcp", address)
	until(t, "both are accepted", func() bool { return len(accepted) == 2 })
	unix.Close(<-accepted)
	unix.Close(<-accepted)
}

// TestSendMessage sends to a datagram source by its address, as text and as bytes.
func TestSendMessage(t *testing.T) {
	sockets, address := listenSlots(t, 1, loopback)
	h := newFakeHost(sockets)
	s := serve(t, h, Config{})
	if err := s.AssignSlots(1); err != nil {
		t.Fatal(err)
	}
	c := dial(t, "udp", address)
	write(t, c, "hello")
	read(t, c, "hello")
	client := next(t, h.opened)
	for _, m := range []struct {
		message string
		binary  bool
	}{{"text", false}, {"\xff\x00", true}} {
		if err := s.SendMessage([]byte(m.message), c.LocalAddr().String(), nil, m.binary); err != nil {
			t.Fatal(err)
		}
		client.Flush()
		read(t, c, m.message)
	}
}

// TestClose ends the connections and refuses what comes later.
func TestClose(t *testing.T) {
	sock, address := listenTCP(t)
	h := newFakeHost([]plugin.Socket{sock})
	s := New(Config{})
	if err := s.Start(t.Context(), h); err != nil {
		t.Fatal(err)
	}
	c := dial(t, "tcp", address)
	next(t, h.opened)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if n, err := c.Read(make([]byte, 1)); err == nil {
		t.Errorf("%d bytes on a connection of a closed service", n)
	}
	if h.count() != 0 {
		t.Errorf("%d clients are left", h.count())
	}
	if _, err := s.PassThroughMessage(t.Context(), "room", 1, shared.AnyProcess, "x"); err == nil {
		t.Error("a closed service passed a message through")
	}
}
