package socket

import (
	"errors"
	"fmt"
	"net"
	"os"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/antano/antano/plugin"
	"github.com/antano/antano/shared"
)

// What has queued up is received in batches, each datagram whole, and in order.
func TestBatchesKeepOrder(t *testing.T) {
	sockets, addr := listenSlots(t, 1, loopback)
	h := newFakeHost(sockets)
	h.receive = func(*fakeClient, []byte) error { return nil }
	s := serve(t, h, Config{})
	peers := []net.Conn{dial(t, "udp", addr), dial(t, "udp", addr), dial(t, "udp", addr)}
	const each = 3*maxBatch + 1
	large := string(make([]byte, 9000))
	for i := range each {
		for _, peer := range peers {
			write(t, peer, fmt.Sprint(i)+large[:i*10])
		}
	}
	s.AssignSlots(1)
	for range peers {
		c := next(t, h.opened)
		until(t, "all received", func() bool { return len(c.all()) == each })
		for i, got := range c.all() {
			if want := fmt.Sprint(i) + large[:i*10]; string(got) != want {
				t.Fatalf("message %d is %.20q of %d bytes, want %d", i, got, len(got), len(want))
			}
		}
	}
}

// Answers are written although more datagrams wait than one batch takes.
func TestBatchesAreFlushed(t *testing.T) {
	sockets, addr := listenSlots(t, 1, loopback)
	h := newFakeHost(sockets)
	answered := make(chan struct{})
	h.receive = func(c *fakeClient, p []byte) error {
		if string(p) == "last" {
			<-answered
		}
		return c.Send(p)
	}
	s := serve(t, h, Config{})
	peer := dial(t, "udp", addr)
	for range datagramBatch + maxBatch {
		write(t, peer, "x")
	}
	write(t, peer, "last")
	s.AssignSlots(1)
	read(t, peer, "x")
	close(answered)
}

// A client's Write of many messages sends each, and says which one was refused.
func TestWriteManyDatagrams(t *testing.T) {
	for _, network := range []string{"udp", "unixgram"} {
		t.Run(network, func(t *testing.T) {
			sockets, addr := listenSlots(t, 1, loopback)
			var peer net.Conn
			if network == "udp" {
				peer = dial(t, "udp", addr)
			} else {
				sock, path := listenUnix(t, unix.SOCK_DGRAM)
				sockets, peer = []plugin.Socket{sock}, dialUnixgram(t, path)
			}
			h := newFakeHost(sockets)
			s := serve(t, h, Config{})
			s.AssignSlots(1)
			write(t, peer, "x")
			read(t, peer, "x")
			c := next(t, h.opened)
			many, size := make([][]byte, 2*maxSent+1), 0
			for i := range many {
				many[i] = fmt.Append(nil, i)
				size += len(many[i])
			}
			written := make(chan error, 1)
			go func() {
				n, err := c.write(many, true)
				if err == nil && n != size {
					err = fmt.Errorf("wrote %d bytes of %d", n, size)
				}
				written <- err
			}()
			for i := range many {
				read(t, peer, fmt.Sprint(i))
			}
			if err := <-written; err != nil {
				t.Fatal(err)
			}
			messages := [][]byte{[]byte("one"), []byte("two"), make([]byte, 1<<20), []byte("three")}
			n, err := c.write(messages, false)
			if e, ok := errors.AsType[*shared.Error](err); n != 6 || !ok || e.Code != shared.CodeTooLarge {
				t.Fatalf("wrote %d, %v", n, err)
			}
			read(t, peer, "one")
			read(t, peer, "two")
		})
	}
}

// holding makes places whose readers say that they have got to the message "hold", and
// then wait.
func holding(t *testing.T, sockets []plugin.Socket, n int) (ps []place, held chan struct{}) {
	held = make(chan struct{})
	ps = places(t, n, sockets, func(h *fakeHost, _ *Config) {
		h.receive = func(c *fakeClient, p []byte) error {
			if string(p) == "hold" {
				held <- struct{}{}
				<-held
			}
			return c.Send(p)
		}
	})
	return ps, held
}

// All that a batch has behind a datagram that was not taken goes with its source, in order,
// or stays with it.
func TestBatchIsNotTaken(t *testing.T) {
	for _, fate := range []string{"goes along", "stays", "is lost"} {
		t.Run(fate, func(t *testing.T) {
			sockets, addr := listenSlots(t, 1, loopback)
			ps, held := holding(t, sockets, 2)
			ps[0].assign(t, 1)
			peers := []net.Conn{dial(t, "udp", addr), dial(t, "udp", addr)}
			for _, peer := range peers {
				write(t, peer, "first")
				read(t, peer, "first")
			}
			write(t, peers[0], "hold")
			<-held
			for i := range 5 {
				for _, peer := range peers {
					write(t, peer, fmt.Sprint(i))
				}
			}
			moving := next(t, ps[0].host.opened)
			moving.moving.Store(true)
			held <- struct{}{}
			sl := ps[0].allSlots()[0]
			until(t, "all read", func() bool { return !readable(sl.socket.FD) })
			switch fate {
			case "is lost":
				ps[0].assign(t, 0)
				if n := ps[0].host.dropped(shared.CodeShuttingDown); n != 10 {
					t.Fatalf("%d counted, want 10", n)
				}
				return
			case "stays":
				if n := len(ps[0].out(t, 1)); n != 2 {
					t.Fatalf("%d clients given", n)
				}
				moving.moving.Store(false)
				ps[0].MoveBack()
			default:
				if n := move(t, ps[0], ps[1], 1); n != 2 {
					t.Fatalf("%d clients moved", n)
				}
				ps[0].assign(t, 0)
				ps[1].assign(t, 1)
			}
			read(t, peers[0], "hold")
			for i := range 5 {
				for _, peer := range peers {
					read(t, peer, fmt.Sprint(i))
				}
			}
		})
	}
}

// unixSender is a socket of which the test does as it likes. An empty name is one of the
// kernel's choice.
func unixSender(t *testing.T, name string) int {
	t.Helper()
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	if name == "" {
		err = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_PASSCRED, 1)
	} else {
		err = unix.Bind(fd, &unix.SockaddrUnix{Name: name})
	}
	limit := unix.Timeval{Sec: int64(testTime.Seconds())}
	if err := errors.Join(err, unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &limit)); err != nil {
		t.Fatal(err)
	}
	return fd
}

// ask sends a message, with descriptors, and reads it back.
func ask(t *testing.T, fd int, path, message string, descriptors ...int) {
	t.Helper()
	if err := unix.Sendmsg(fd, []byte(message), unix.UnixRights(descriptors...), &unix.SockaddrUnix{Name: path}, 0); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 100)
	if n, _, err := unix.Recvfrom(fd, b, 0); err != nil || string(b[:n]) != message {
		t.Fatalf("got %q, %v; want %q", b[:n], err, message)
	}
}

// A sender of a unix datagram cannot leave its descriptors here.
func TestDescriptorsAreNotTaken(t *testing.T) {
	sock, path := listenUnix(t, unix.SOCK_DGRAM)
	s := serve(t, newFakeHost([]plugin.Socket{sock}), Config{})
	s.AssignSlots(1)
	peer := unixSender(t, "")
	ask(t, peer, path, "hello", peer)
	before := descriptors(t)
	for range 5 {
		ask(t, peer, path, "hello", peer, peer)
	}
	if after := descriptors(t); after > before {
		t.Errorf("%d descriptors, then %d", before, after)
	}
}

func descriptors(t *testing.T) int {
	t.Helper()
	all, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(all)
}

// A sender with an abstract name is answered, whatever bytes are in it.
func TestAbstractNames(t *testing.T) {
	sock, path := listenUnix(t, unix.SOCK_DGRAM)
	h := newFakeHost([]plugin.Socket{sock})
	s := serve(t, h, Config{})
	s.AssignSlots(1)
	for _, name := range []string{"", fmt.Sprintf("@antano-%d", os.Getpid()), fmt.Sprintf("@antano\x00%d", os.Getpid())} {
		ask(t, unixSender(t, name), path, "hello")
		c := next(t, h.opened)
		if name != "" && c.address != name || s.sourceAt(c.address) != plugin.Client(c) {
			t.Errorf("%q has the address %q", name, c.address)
		}
	}
}

// Receiving and answering datagrams of known sources allocates nothing.
func TestDatagramsAllocate(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector has pools forget")
	}
	for _, network := range []string{"udp", "unixgram"} {
		t.Run(network, func(t *testing.T) {
			sockets, addr := listenSlots(t, 1, loopback)
			var peer net.Conn
			if network == "udp" {
				peer = dial(t, "udp", addr)
			} else {
				sock, path := listenUnix(t, unix.SOCK_DGRAM)
				sockets, peer = []plugin.Socket{sock}, dialUnixgram(t, path)
			}
			h := newFakeHost(sockets)
			s := serve(t, h, Config{})
			s.AssignSlots(1)
			write(t, peer, "x")
			read(t, peer, "x")
			c := next(t, h.opened)
			r := s.slots[0].reader
			s.AssignSlots(0)
			sl := s.slots[0]
			src := c.w.(*source)
			src.client = &sink{fakeClient: c}
			sl.add(src)
			answer, buffer := [][]byte{[]byte("answer"), []byte("another")}, make([]byte, 100)
			n := testing.AllocsPerRun(100, func() {
				if _, err := peer.Write(buffer[:10]); err != nil {
					t.Fatal(err)
				}
				if r.drain(uintptr(sl.socket.FD)) || r.err != nil {
					t.Fatal("more to read", r.err)
				}
				if _, err := src.Write(answer, false); err != nil {
					t.Fatal(err)
				}
				for range answer {
					if _, err := peer.Read(buffer); err != nil {
						t.Fatal(err)
					}
				}
			})
			if n != 0 {
				t.Errorf("%v allocations", n)
			}
			if got := src.client.(*sink).received; got != 101 {
				t.Errorf("%d messages received", got)
			}
		})
	}
}

// sink is a client that keeps nothing.
type sink struct {
	*fakeClient
	received int
}

func (s *sink) Receive([]byte) error { s.received++; return nil }
func (s *sink) Flush()               {}
