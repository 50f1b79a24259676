package socket

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/antano/antano/plugin"
	"github.com/antano/antano/shared"
)

// A stream is moved after every byte, so within every frame, header and skipped frame.
func TestMoveAtEveryByte(t *testing.T) {
	big := strings.Repeat("b", 20)
	for _, c := range []struct {
		name     string
		framing  shared.Framing
		format   shared.FormatID
		in, want string
	}{
		{"line", shared.FramingLine, shared.FormatJSON, "one\ntwo\r\n\n" + big + "\nthree\n",
			"one\ntwo\n{\"type\":\"error\",\"code\":\"too_large\"}\nthree\n"},
		{"length32", shared.FramingLength32, shared.FormatBinary, frame32("one") + frame32("") + frame32(big) + frame32("two"),
			frame32("one") + frame32(`{"type":"error","code":"too_large"}`) + frame32("two")},
	} {
		t.Run(c.name, func(t *testing.T) {
			sock, addr := listenTCP(t)
			ps := places(t, 2, []plugin.Socket{sock}, func(h *fakeHost, _ *Config) {
				h.params.MessageFormatIn, h.params.MessageFormatOut = c.format, c.format
				h.params.Limits.MaxMessageBytes = 10
			})
			ps[1].out(t, plugin.AllSlots) // takes no connection
			ps[1].moving = nil
			peer := dial(t, "tcp", addr)
			next(t, ps[0].host.opened)
			for i, b := range []byte(c.in) {
				if _, err := peer.Write([]byte{b}); err != nil {
					t.Fatal(err)
				}
				ps[i%2].read(t)
				if n := move(t, ps[i%2], ps[1-i%2], plugin.AllSlots); n != 1 {
					t.Fatalf("%d clients moved", n)
				}
			}
			expect(t, peer, c.want)
			if n := ps[0].partial.used.Load() + ps[1].partial.used.Load(); n != 0 {
				t.Fatalf("%d bytes held", n)
			}
		})
	}
}

// What a move interrupts goes along: the message that was not taken, and the input
// behind it, in order.
func TestMoveTakesParkedAndUnreadAlong(t *testing.T) {
	for _, network := range []string{"tcp", "unix", "unixpacket"} {
		t.Run(network, func(t *testing.T) {
			sock, addr := listenTCP(t)
			switch network {
			case "unix":
				sock, addr = listenUnix(t, unix.SOCK_STREAM)
			case "unixpacket":
				sock, addr = listenUnix(t, unix.SOCK_SEQPACKET)
			}
			a := places(t, 1, []plugin.Socket{sock}, nil)[0]
			peer := dial(t, network, addr)
			c := next(t, a.host.opened)
			c.moving.Store(true)
			const n = 50
			var want strings.Builder
			for i := range n {
				m := fmt.Sprint(i)
				if network != "unixpacket" {
					m += "\n"
				}
				want.WriteString(m)
				write(t, peer, m)
			}
			b := places(t, 1, nil, func(h *fakeHost, _ *Config) { h.sockets = []plugin.Socket{sock} })[0]
			all := a.out(t, plugin.AllSlots)
			resume := b.in(t, all)
			cut(all)
			if got := len(b.only(t).all()); got != 0 {
				t.Fatalf("%d messages received before resume", got)
			}
			resume[0]()
			expect(t, peer, want.String())
			if got := len(c.all()); got != 0 {
				t.Fatalf("%d messages received by a client that was moving", got)
			}
		})
	}
}

// Under load, from one to the other and back, nothing is lost, doubled or reordered, and no
// descriptor is left behind.
func TestMoveBackAndForthUnderLoad(t *testing.T) {
	sock, addr := listenTCP(t)
	ps := places(t, 2, []plugin.Socket{sock}, nil)
	const clients, messages = 8, 2000
	done := make(chan error, clients)
	for range clients {
		peer := dial(t, "tcp", addr)
		go io.Copy(peer, strings.NewReader(numbers(messages)))
		go func() {
			got := make([]byte, len(numbers(messages)))
			_, err := io.ReadFull(peer, got)
			if err == nil && string(got) != numbers(messages) {
				err = fmt.Errorf("got other numbers")
			}
			done <- err
		}()
	}
	before := -1
	for moves, left := 0, clients; left > 0; moves++ {
		select {
		case err := <-done:
			if err != nil {
				t.Fatal(err)
			}
			left--
		default:
			ps[1-moves%2].MoveBack()
			move(t, ps[moves%2], ps[1-moves%2], plugin.AllSlots)
			if n := openDescriptors(t); moves == 20 {
				before = n
			} else if before > 0 && n > before+clients {
				t.Fatalf("%d descriptors after %d moves, %d after 20", n, moves, before)
			}
		}
	}
}

func numbers(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "%d\n", i)
	}
	return b.String()
}

func openDescriptors(t *testing.T) int {
	t.Helper()
	all, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(all)
}

// A move that is given up leaves the clients where they are, and the listeners open; a
// connection that came meanwhile was refused by nobody.
func TestMoveBack(t *testing.T) {
	sock, addr := listenTCP(t)
	a := places(t, 1, []plugin.Socket{sock}, nil)[0]
	peer := dial(t, "tcp", addr)
	next(t, a.host.opened)
	for i := range 20 {
		write(t, peer, "be")
		all := a.out(t, plugin.AllSlots)
		write(t, peer, fmt.Sprintf("fore %d\n", i))
		late := dial(t, "tcp", addr)
		write(t, late, "late\n")
		if len(all) != i+1 {
			t.Fatalf("%d clients given, want %d", len(all), i+1)
		}
		if len(a.host.opened) != 0 {
			t.Fatal("a connection was accepted during a move")
		}
		for _, g := range all {
			unix.Close(g.fd)
		}
		a.MoveBack()
		expect(t, peer, fmt.Sprintf("before %d\n", i))
		expect(t, late, "late\n")
		next(t, a.host.opened)
	}
}

// A client that cannot go stays and is served on, and does not keep the others.
func TestClientThatIsNotGivenStays(t *testing.T) {
	sock, addr := listenTCP(t)
	release := make(chan struct{})
	ps := places(t, 2, []plugin.Socket{sock}, func(_ *fakeHost, c *Config) {
		c.OnReceivedMessage = func(_ context.Context, m []byte, _ string, _ plugin.Client) ([]byte, error) {
			if string(m) == "hang" {
				<-release
			}
			return append([]byte("re: "), m...), nil
		}
		c.SaveClient = func(plugin.Client) []byte { return []byte("author's") }
		c.RestoreClient = func(_ plugin.Client, state []byte) {
			if string(state) != "author's" {
				panic("the author's state is lost")
			}
		}
	})
	ps[1].out(t, plugin.AllSlots)
	var peers []net.Conn
	for range 3 {
		peers = append(peers, dial(t, "tcp", addr))
		next(t, ps[0].host.opened)
	}
	write(t, peers[0], "hang\n")
	hangs := func() (c *fakeClient) {
		ps[0].host.mu.Lock()
		defer ps[0].host.mu.Unlock()
		for c := range ps[0].host.clients {
			if c.Owed() {
				return c
			}
		}
		return nil
	}
	until(t, "a call hangs", func() bool { return hangs() != nil })
	refused := false
	var all []given
	err := ps[0].MoveOut(moveTime(t), plugin.AllSlots, func(c plugin.Client, state []byte, fd int) error {
		if !refused {
			refused = true
			return os.ErrInvalid
		}
		own, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 3)
		all = append(all, given{c.(*fakeClient), state, own})
		return err
	})
	if err != nil || len(all) != 1 {
		t.Fatalf("%d clients given, %v; want 1", len(all), err)
	}
	resume := ps[1].in(t, all)
	cut(all)
	resume[0]()
	close(release)
	expect(t, peers[0], "re: hang\n")
	for _, peer := range peers {
		write(t, peer, "x\n")
		expect(t, peer, "re: x\n")
	}
	if n, m := ps[0].host.count(), ps[1].host.count(); n != 2 || m != 1 {
		t.Fatalf("%d and %d clients, want 2 and 1", n, m)
	}
}

// idle_timeout goes on where it was.
func TestIdleTimeoutAfterMoves(t *testing.T) {
	sock, addr := listenTCP(t)
	ps := places(t, 2, []plugin.Socket{sock}, func(h *fakeHost, _ *Config) { h.params.Limits.IdleTimeout = 300 * time.Millisecond })
	ps[1].out(t, plugin.AllSlots)
	dial(t, "tcp", addr)
	next(t, ps[0].host.opened)
	start := time.Now()
	until(t, "idle", func() bool {
		if ps[0].host.count()+ps[1].host.count() == 0 {
			return true
		}
		for i := range 2 {
			move(t, ps[i], ps[1-i], plugin.AllSlots)
		}
		return false
	})
	if d := time.Since(start); d < 250*time.Millisecond || d > 3*time.Second {
		t.Fatalf("closed after %s", d)
	}
}

// A Write that waits for a client which does not read says what it wrote when the client
// moves, and the rest can follow there.
func TestInterruptedWrite(t *testing.T) {
	sock, addr := listenTCP(t)
	ps := places(t, 2, []plugin.Socket{sock}, nil)
	ps[1].out(t, plugin.AllSlots)
	peer := dial(t, "tcp", addr)
	old := next(t, ps[0].host.opened)
	all := ps[0].out(t, plugin.AllSlots)
	resume := ps[1].in(t, all)
	message := bytes.Repeat([]byte(numbers(1000)), 4000)
	wrote := make(chan int, 1)
	go func() { n, _ := old.w.Write([][]byte{message}, true); wrote <- n }()
	until(t, "the socket is full", func() (full bool) {
		old.w.(*stream).raw.Control(func(fd uintptr) { full = poll(int(fd), unix.POLLOUT)&unix.POLLOUT == 0 })
		return full
	})
	old.w.(plugin.InterruptedWriter).Interrupt()
	n := <-wrote
	if n == 0 || n == len(message) {
		t.Fatalf("%d of %d bytes were written", n, len(message))
	}
	if again, err := old.w.Write([][]byte{message[n:]}, true); again != 0 || err != plugin.ErrWouldBlock {
		t.Fatalf("wrote %d, %v after an interrupt", again, err)
	}
	cut(all)
	go ps[1].only(t).w.Write([][]byte{message[n:]}, true)
	resume[0]()
	got := make([]byte, len(message))
	if n, err := io.ReadFull(peer, got); err != nil || !bytes.Equal(got, message) {
		t.Fatalf("the peer read %d of %d bytes, or others: %v", n, len(message), err)
	}
}

// A client that is never resumed goes with its Writer.
func TestMovedInAndClosed(t *testing.T) {
	sock, addr := listenTCP(t)
	ps := places(t, 2, []plugin.Socket{sock}, nil)
	ps[1].out(t, plugin.AllSlots)
	peer := dial(t, "tcp", addr)
	next(t, ps[0].host.opened)
	write(t, peer, "half a mess")
	ps[0].read(t)
	all := ps[0].out(t, plugin.AllSlots)
	ps[1].in(t, all)
	ps[1].only(t).w.Close()
	next(t, ps[1].host.ended)
	ps[0].MoveBack()
	write(t, peer, "age\n")
	expect(t, peer, "half a message\n")
}

// What is no state, or not of this service, is refused, and its descriptor closed.
func TestMoveInRefuses(t *testing.T) {
	sock, addr := listenTCP(t)
	ps := places(t, 1, []plugin.Socket{sock}, nil)
	peer := dial(t, "tcp", addr)
	next(t, ps[0].host.opened)
	all := ps[0].out(t, plugin.AllSlots)
	slots, _ := listenSlots(t, 1, loopback)
	other := places(t, 1, slots, nil)[0]
	unix.Close(all[0].fd)
	ps[0].MoveBack()
	before := openDescriptors(t)
	for name, state := range map[string][]byte{
		"empty": {}, "other version": {99, 1}, "cut": all[0].state[:len(all[0].state)-1],
		"long": append(all[0].state[:len(all[0].state):len(all[0].state)], 0), "of another service": all[0].state,
	} {
		pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := other.MoveIn(state, pair[0], other.host.attach(1)); err == nil {
			t.Errorf("%s: taken", name)
		}
		unix.Close(pair[1])
	}
	if n := openDescriptors(t); n != before {
		t.Errorf("%d descriptors, %d before", n, before)
	}
	write(t, peer, "x\n")
	expect(t, peer, "x\n")
}
