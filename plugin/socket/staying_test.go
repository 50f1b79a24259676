package socket

import (
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/antano/antano/plugin"
	"github.com/antano/antano/shared"
)

// A datagram that was not taken, and whose source cannot move, is refused when the slot
// goes: it is neither forgotten nor somebody else's.
func TestParkedDatagramOfWhoStays(t *testing.T) {
	sockets, addr := listenSlots(t, 1, loopback)
	ps := places(t, 2, sockets, func(_ *fakeHost, c *Config) {
		c.SaveClient = func(plugin.Client) []byte { panic("the author's fault") }
	})
	ps[0].assign(t, 1)
	peer := dial(t, "udp", addr)
	write(t, peer, "first")
	read(t, peer, "first")
	next(t, ps[0].host.opened).moving.Store(true)
	write(t, peer, `{"id":"a","type":"ping"}`)
	sl := ps[0].allSlots()[0]
	until(t, "the datagram read", func() bool { return !readable(sl.socket.FD) })
	if n := len(ps[0].out(t, 1)); n != 0 {
		t.Fatalf("%d clients given", n)
	}
	ps[0].assign(t, 0)
	if n := ps[0].host.dropped(shared.CodeShuttingDown); n != 1 {
		t.Errorf("%d drops, want 1", n)
	}
	if answer := readAny(t, peer); !strings.Contains(answer, "shutting_down") || !strings.Contains(answer, `"a"`) {
		t.Errorf("answer %s", answer)
	}
}

// What has waited for a source that ends before it is resumed is counted; what came along
// with it may still be elsewhere.
func TestLeftDatagramsAreCounted(t *testing.T) {
	sockets, addr := listenSlots(t, 1, loopback)
	ps := places(t, 2, sockets, nil)
	ps[0].assign(t, 1)
	peer := dial(t, "udp", addr)
	write(t, peer, "first")
	read(t, peer, "first")
	next(t, ps[0].host.opened).moving.Store(true)
	write(t, peer, "parked")
	sl := ps[0].allSlots()[0]
	until(t, "the datagram read", func() bool { return !readable(sl.socket.FD) })
	all := ps[0].out(t, 1)
	ps[1].in(t, all)
	cut(all)
	ps[0].assign(t, 0)
	if n := ps[0].host.dropped(shared.CodeShuttingDown); n != 0 {
		t.Errorf("%d drops of what was given", n)
	}
	ps[1].assign(t, 1)
	for i := range 3 {
		write(t, peer, fmt.Sprint(i))
	}
	src := ps[1].allSlots()[0].leftOf(t)
	until(t, "datagrams wait", func() bool {
		src.slot.mu.Lock()
		defer src.slot.mu.Unlock()
		return len(src.left) == 4
	})
	c := ps[1].only(t)
	c.w.Close()
	c.Close(nil)
	if n := ps[1].host.dropped(shared.CodeShuttingDown); n != 3 {
		t.Errorf("%d drops, want 3", n)
	}
}

// A message for which there is no room while its source is on the move is answered.
func TestNoRoomForWhoHasJustCome(t *testing.T) {
	sockets, addr := listenSlots(t, 1, loopback)
	ps := places(t, 2, sockets, func(h *fakeHost, _ *Config) { h.params.Limits.ProcessQueueBytes = 10 })
	ps[0].assign(t, 1)
	peer := dial(t, "udp", addr)
	write(t, peer, "x")
	read(t, peer, "x")
	all := ps[0].out(t, 1)
	ps[1].in(t, all)
	cut(all)
	ps[0].assign(t, 0)
	ps[1].assign(t, 1)
	write(t, peer, `{"id":"a","type":"ping"}`)
	if answer := readAny(t, peer); !strings.Contains(answer, "overloaded") || !strings.Contains(answer, `"a"`) {
		t.Errorf("answer %s", answer)
	}
	if n := ps[1].host.dropped(shared.CodeOverloaded); n != 1 {
		t.Errorf("%d drops, want 1", n)
	}
}

// When the author's code cannot take one client over, none is: the move fails.
func TestRestoreClientPanics(t *testing.T) {
	sock, addr := listenTCP(t)
	ps := places(t, 2, []plugin.Socket{sock}, func(h *fakeHost, c *Config) {
		c.RestoreClient = func(plugin.Client, []byte) { panic("the author's fault") }
	})
	ps[1].out(t, plugin.AllSlots)
	peer := dial(t, "tcp", addr)
	next(t, ps[0].host.opened)
	all := ps[0].out(t, plugin.AllSlots)
	if len(all) != 1 {
		t.Fatalf("%d clients given", len(all))
	}
	if _, err := ps[1].MoveIn(all[0].state, all[0].fd, ps[1].host.attach(all[0].client.id)); err == nil {
		t.Error("the client was taken over")
	}
	ps[0].MoveBack()
	write(t, peer, "x\n")
	expect(t, peer, "x\n")
}

// readAny returns the next datagram.
func readAny(t *testing.T, c net.Conn) string {
	t.Helper()
	c.SetReadDeadline(time.Now().Add(testTime))
	b := make([]byte, 1<<16)
	n, err := c.Read(b)
	if err != nil {
		t.Fatal(err)
	}
	return string(b[:n])
}
