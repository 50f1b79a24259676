package socket

import (
	"fmt"
	"net"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/antano/antano/plugin"
)

// calmed has all connections rest, as they do after a while.
func calmed(t *testing.T, s *SocketService) {
	t.Helper()
	until(t, "all rest", func() bool {
		s.interruptSilent()
		s.mu.Lock()
		defer s.mu.Unlock()
		return len(s.awake) == 0
	})
}

// A connection that rests goes on where it stopped: within a message, and at its end.
func TestRestingConnectionsGoOn(t *testing.T) {
	for _, kind := range []int{unix.SOCK_STREAM, unix.SOCK_SEQPACKET} {
		t.Run(kindNames[kind], func(t *testing.T) {
			sock, path := listenUnix(t, kind)
			h := newFakeHost([]plugin.Socket{sock})
			s := serve(t, h, Config{})
			network := map[int]string{unix.SOCK_STREAM: "unix", unix.SOCK_SEQPACKET: "unixpacket"}[kind]
			c := dial(t, network, path)
			for i := range 5 {
				write(t, c, fmt.Sprintf("first %d\n", i))
				read(t, c, fmt.Sprintf("first %d\n", i))
				if kind == unix.SOCK_STREAM {
					write(t, c, "within ")
				}
				calmed(t, s)
				write(t, c, "a message\n")
				if kind == unix.SOCK_STREAM {
					read(t, c, "within a message\n")
				} else {
					read(t, c, "a message\n")
				}
				calmed(t, s)
			}
			c.Close()
			next(t, h.ended)
		})
	}
}

// A connection that rests can move, come back and be stopped.
func TestRestingConnectionsMove(t *testing.T) {
	sock, addr := listenTCP(t)
	ps := places(t, 2, []plugin.Socket{sock}, nil)
	c := dial(t, "tcp", addr)
	write(t, c, "x\n")
	read(t, c, "x\n")
	for i := range 4 {
		from, to := ps[0], ps[1]
		if from.host.count() == 0 {
			from, to = to, from
		}
		calmed(t, from.SocketService)
		if i%2 == 0 {
			if n := move(t, from, to, plugin.AllSlots); n != 1 {
				t.Fatalf("%d clients moved", n)
			}
			from.MoveBack() // so that it can take connections again
		} else {
			if n := len(from.out(t, plugin.AllSlots)); n != 1 {
				t.Fatalf("%d clients given", n)
			}
			from.MoveBack()
		}
		write(t, c, "y\n")
		read(t, c, "y\n")
	}
	for _, p := range ps {
		calmed(t, p.SocketService)
	}
}

// A silent connection has no larger a stack than its goroutine began with.
func TestMemoryOfSilentConnections(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector makes stacks larger")
	}
	sock, addr := listenTCP(t)
	s := serve(t, newFakeHost([]plugin.Socket{sock}), Config{})
	const n = 400
	stacks := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.StackInuse
	}
	before := stacks()
	var all []net.Conn
	for range n {
		c := dial(t, "tcp", addr)
		write(t, c, "x\n")
		read(t, c, "x\n")
		all = append(all, c)
	}
	awake := stacks() - before
	calmed(t, s)
	var each uint64
	until(t, "stacks freed", func() bool { each = (stacks() - before) / n; return each <= 2500 })
	t.Logf("%d bytes of stack each, %d when awake", each, awake/n)
	for _, c := range all {
		write(t, c, "y\n")
		read(t, c, "y\n")
	}
}
