package socket

import (
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/antano/antano/plugin"
	"github.com/antano/antano/shared"
)

// assign has a place read exactly these slots.
func (p place) assign(t *testing.T, slots uint64) {
	t.Helper()
	if err := p.AssignSlots(slots); err != nil {
		t.Fatal(err)
	}
}

// Sources keep their clients when their slots go to another process and back, and one
// process reads each slot at a time.
func TestMoveSlots(t *testing.T) {
	for _, network := range []string{"udp", "unixgram"} {
		t.Run(network, func(t *testing.T) {
			sockets, addr := listenSlots(t, 4, loopback)
			var peers []net.Conn
			if network == "udp" {
				for range 5 {
					peers = append(peers, dial(t, "udp", addr))
				}
			} else {
				sock, path := listenUnix(t, unix.SOCK_DGRAM)
				sockets, peers = []plugin.Socket{sock}, []net.Conn{dialUnixgram(t, path)}
			}
			ps := places(t, 2, sockets, nil)
			ps[0].assign(t, 15)
			ids := map[string]shared.ClientID{}
			for i := range 20 {
				from, to := ps[i%2], ps[1-i%2]
				for j, peer := range peers {
					m := fmt.Sprint(i, j)
					write(t, peer, m)
					read(t, peer, m)
				}
				if n := from.host.count(); n != len(peers) {
					t.Fatalf("%d clients, want %d", n, len(peers))
				}
				for c := range from.host.clients {
					if id, known := ids[c.address]; known && id != c.id {
						t.Fatalf("%s has the id %d, had %d", c.address, c.id, id)
					}
					ids[c.address] = c.id
				}
				if n := move(t, from, to, 15); n != len(peers) {
					t.Fatalf("%d clients moved, want %d", n, len(peers))
				}
				from.assign(t, 0)
				if n := len(from.host.ended); n != 0 {
					t.Fatalf("%d clients ended by a move", n)
				}
				to.assign(t, 15)
			}
		})
	}
}

// Only the slots that are asked for move.
func TestMoveSomeSlots(t *testing.T) {
	sockets, addr := listenSlots(t, 4, loopback)
	ps := places(t, 2, sockets, nil)
	ps[0].assign(t, 15)
	const n = 40
	var peers []net.Conn
	for range n {
		peers = append(peers, dial(t, "udp", addr))
	}
	echo := func() {
		t.Helper()
		for i, peer := range peers {
			write(t, peer, fmt.Sprint(i))
			read(t, peer, fmt.Sprint(i))
		}
	}
	echo()
	moved := move(t, ps[0], ps[1], 3)
	if moved == 0 || moved == n {
		t.Fatalf("%d of %d clients moved with half of the slots", moved, n)
	}
	ps[0].assign(t, 12)
	ps[1].assign(t, 3)
	echo()
	if a, b := ps[0].host.count(), ps[1].host.count(); a != n-moved || b != moved {
		t.Fatalf("%d and %d clients, %d moved", a, b, moved)
	}
}

// A move that is given up goes on with the datagram that was not taken, and loses none of
// those that came meanwhile.
func TestMoveBackOfSlots(t *testing.T) {
	sockets, addr := listenSlots(t, 1, loopback)
	ps := places(t, 1, sockets, nil)
	ps[0].assign(t, 1)
	peer := dial(t, "udp", addr)
	write(t, peer, "first")
	read(t, peer, "first")
	c := next(t, ps[0].host.opened)
	for i := range 20 {
		c.moving.Store(true)
		write(t, peer, fmt.Sprint("not taken ", i))
		if n := len(ps[0].out(t, 1)); n != 1 {
			t.Fatalf("%d clients given", n)
		}
		write(t, peer, fmt.Sprint("meanwhile ", i))
		c.moving.Store(false)
		ps[0].MoveBack()
		read(t, peer, fmt.Sprint("not taken ", i))
		read(t, peer, fmt.Sprint("meanwhile ", i))
	}
}

// What was not taken goes along and comes first, also when the slot is read before the
// client is resumed.
func TestDatagramsWaitForTheirSource(t *testing.T) {
	sockets, addr := listenSlots(t, 1, loopback)
	ps := places(t, 2, sockets, nil)
	ps[0].assign(t, 1)
	peer := dial(t, "udp", addr)
	write(t, peer, "first")
	read(t, peer, "first")
	c := next(t, ps[0].host.opened)
	c.moving.Store(true)
	write(t, peer, "parked")
	sl := ps[0].allSlots()[0]
	until(t, "the datagram read", func() bool { return !readable(sl.socket.FD) })
	all := ps[0].out(t, 1)
	resume := ps[1].in(t, all)
	cut(all)
	ps[0].assign(t, 0)
	ps[1].assign(t, 1)
	for i := range 5 {
		write(t, peer, fmt.Sprint(i))
	}
	src := ps[1].allSlots()[0].leftOf(t)
	until(t, "datagrams wait", func() bool {
		src.slot.mu.Lock()
		defer src.slot.mu.Unlock()
		return len(src.left) == 6
	})
	if got := ps[1].only(t).all(); len(got) != 0 {
		t.Fatalf("received %q before resume", got)
	}
	resume[0]()
	for _, want := range []string{"parked", "0", "1", "2", "3", "4"} {
		read(t, peer, want)
	}
	until(t, "awake", func() bool {
		src.slot.mu.Lock()
		defer src.slot.mu.Unlock()
		return !src.asleep
	})
	if n := ps[1].partial.used.Load(); n != 0 {
		t.Fatalf("%d bytes held", n)
	}
}

// leftOf is the only source of a slot.
func (sl *slot) leftOf(t *testing.T) (src *source) {
	t.Helper()
	sl.mu.Lock()
	defer sl.mu.Unlock()
	for src = range sl.all() {
	}
	if src == nil {
		t.Fatal("the slot has no source")
	}
	return src
}

// The datagrams of a source that is never resumed are bounded, and end with it.
func TestSourceThatIsNeverResumed(t *testing.T) {
	sockets, addr := listenSlots(t, 1, loopback)
	ps := places(t, 2, sockets, func(h *fakeHost, _ *Config) { h.params.Limits.ProcessQueueBytes = 1000 })
	ps[0].assign(t, 1)
	peer := dial(t, "udp", addr)
	write(t, peer, "x")
	read(t, peer, "x")
	all := ps[0].out(t, 1)
	ps[1].in(t, all)
	cut(all)
	ps[1].assign(t, 1)
	for range 20 {
		write(t, peer, strings.Repeat("x", 100))
	}
	until(t, "some are dropped", func() bool { return ps[1].host.dropped(shared.CodeOverloaded) == 20-1000/(100+leftCost) })
	c := ps[1].only(t)
	c.w.Close()
	c.Close(nil)
	if n := ps[1].partial.used.Load(); n != 0 {
		t.Fatalf("%d bytes held", n)
	}
	write(t, peer, "new")
	read(t, peer, "new")
}

// What the manager keeps of a source makes the same client of it again.
func TestKept(t *testing.T) {
	for name, ip := range map[string][4]byte{"bound": loopback, "wildcard": {}} {
		t.Run(name, func(t *testing.T) {
			sockets, addr := listenSlots(t, 1, ip)
			ps := places(t, 2, sockets, func(h *fakeHost, _ *Config) { h.params.Limits.IdleTimeout = time.Minute })
			ps[0].assign(t, 1)
			_, port, _ := net.SplitHostPort(addr)
			peer := dial(t, "udp", net.JoinHostPort("127.0.0.1", port))
			write(t, peer, "x")
			read(t, peer, "x")
			c := next(t, ps[0].host.opened)
			slot, state := c.w.(plugin.KeptWriter).Kept()
			if slot != 0 || len(state) > 1024 {
				t.Fatalf("slot %d, %d bytes", slot, len(state))
			}
			ps[0].Close() // a crash
			resume, err := ps[1].MoveIn(state, -1, ps[1].host.attach(c.id))
			if err != nil {
				t.Fatal(err)
			}
			resume()
			again := ps[1].only(t)
			if again.address != c.address {
				t.Fatalf("restored %s, was %s", again.address, c.address)
			}
			again.Send([]byte("from the group"))
			again.Flush()
			read(t, peer, "from the group")
			ps[1].assign(t, 1)
			write(t, peer, "y")
			read(t, peer, "y")
			if ps[1].only(t) != again {
				t.Fatal("a new client")
			}
		})
	}
}

// A source that is not heard on is forgotten idle_timeout after it was last heard, wherever
// that was, and not while it moves.
func TestIdleSourceAfterMoves(t *testing.T) {
	sockets, addr := listenSlots(t, 1, loopback)
	ps := places(t, 2, sockets, func(h *fakeHost, _ *Config) { h.params.Limits.IdleTimeout = 200 * time.Millisecond })
	ps[0].assign(t, 1)
	peer := dial(t, "udp", addr)
	write(t, peer, "x")
	read(t, peer, "x")
	start := time.Now()
	for i := 0; ps[0].host.count()+ps[1].host.count() > 0; i++ {
		if time.Since(start) > testTime {
			t.Fatal("never forgotten")
		}
		move(t, ps[i%2], ps[1-i%2], 1)
		ps[i%2].assign(t, 0)
		ps[1-i%2].assign(t, 1)
	}
	if d := time.Since(start); d < 150*time.Millisecond {
		t.Fatalf("forgotten after %s", d)
	}
	if len(ps[0].host.ended)+len(ps[1].host.ended) != 1 {
		t.Fatal("not ended once")
	}
}

// The kernel's drops are counted once, whoever reads the slot.
func TestKernelDropsOverMoves(t *testing.T) {
	sockets, addr := listenSlots(t, 1, loopback)
	if err := unix.SetsockoptInt(sockets[0].FD, unix.SOL_SOCKET, unix.SO_RCVBUF, 4096); err != nil {
		t.Fatal(err)
	}
	ps := places(t, 2, sockets, nil)
	ps[0].assign(t, 1)
	peer := dial(t, "udp", addr)
	flood := func() {
		t.Helper()
		for range 50 {
			write(t, peer, string(make([]byte, 1000)))
		}
	}
	write(t, peer, "x")
	read(t, peer, "x")
	for i := range 6 {
		from, to := ps[i%2], ps[1-i%2]
		all := from.out(t, 1)
		flood() // while nobody reads
		resume := to.in(t, all)
		cut(all)
		from.assign(t, 0)
		resume[0]()
		to.assign(t, 1)
		flood()
	}
	drops, err := kernelDrops(sockets[0].FD)
	if err != nil {
		t.Fatal(err)
	}
	for _, sl := range []*slot{ps[0].allSlots()[0], ps[1].allSlots()[0]} {
		sl.seeDrops()
	}
	if n := ps[0].host.dropped(shared.CodeKernel) + ps[1].host.dropped(shared.CodeKernel); drops == 0 || n != int(drops) {
		t.Fatalf("counted %d of %d", n, drops)
	}
}

// A datagram Write that waits for a full receiver is interrupted by a move.
func TestInterruptedDatagramWrite(t *testing.T) {
	sock, path := listenUnix(t, unix.SOCK_DGRAM)
	h := newFakeHost([]plugin.Socket{sock})
	h.push = time.Hour
	s := serve(t, h, Config{})
	s.AssignSlots(1)
	peer := dialUnixgram(t, path)
	write(t, peer, "x")
	read(t, peer, "x")
	c := next(t, h.opened)
	for {
		if _, err := c.write([][]byte{[]byte("m")}, false); errors.Is(err, plugin.ErrWouldBlock) {
			break
		}
	}
	wrote := make(chan error, 1)
	go func() { _, err := c.write([][]byte{[]byte("m")}, true); wrote <- err }()
	until(t, "a Write waits", func() bool {
		free := c.writing.TryLock()
		if free {
			c.writing.Unlock()
		}
		return !free
	})
	c.w.(plugin.InterruptedWriter).Interrupt()
	if err := <-wrote; !errors.Is(err, plugin.ErrWouldBlock) {
		t.Fatalf("got %v", err)
	}
}

// Refusals are limited for each source, and one that floods does not silence another.
func TestRefusalsArePerSource(t *testing.T) {
	var r refusals
	allowed := func(key sourceKey, n int, now time.Duration) (all int) {
		for range n {
			if r.allow(key, int64(now)) {
				all++
			}
		}
		return all
	}
	one, two := sourceKey{path: "one"}, sourceKey{path: "two"}
	if a, b := allowed(one, 1000, time.Second), allowed(two, 50, time.Second); a != maxRefusals || b != 50 {
		t.Errorf("%d and %d answers", a, b)
	}
	if a := allowed(one, 1000, 2*time.Second); a != maxRefusals {
		t.Errorf("%d answers in the next second", a)
	}
	for i := range 10 * maxRefused {
		allowed(sourceKey{path: fmt.Sprint(i)}, 1, 2*time.Second)
	}
	if n := len(r.used); n > maxRefused+1 {
		t.Errorf("%d sources in the table", n)
	}
	if a := allowed(sourceKey{path: "late"}, 100, 2*time.Second); a != 0 {
		t.Errorf("%d answers to a source beyond the table, after others had all", a)
	}
}
