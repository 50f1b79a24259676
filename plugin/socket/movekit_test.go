package socket

import (
	"context"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/antano/antano/plugin"
	"github.com/antano/antano/shared"
)

// place is one process of a service.
type place struct {
	*SocketService
	host *fakeHost
}

// places are processes that share the sockets.
func places(t *testing.T, n int, sockets []plugin.Socket, set func(*fakeHost, *Config)) (all []place) {
	t.Helper()
	for range n {
		h := newFakeHost(sockets)
		h.ids.Store(uint64(len(all)) << 32)
		var config Config
		if set != nil {
			set(h, &config)
		}
		all = append(all, place{serve(t, h, config), h})
	}
	return all
}

// given is what one client took along.
type given struct {
	client *fakeClient
	state  []byte
	fd     int
}

func moveTime(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), testTime)
	t.Cleanup(cancel)
	return ctx
}

// out stops the clients on the slots and returns them.
func (p place) out(t *testing.T, slots uint64) (all []given) {
	t.Helper()
	err := p.MoveOut(moveTime(t), slots, func(c plugin.Client, state []byte, fd int) error {
		if fd >= 0 {
			own, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 3)
			if err != nil {
				return err
			}
			fd = own
		}
		all = append(all, given{c.(*fakeClient), state, fd})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// in makes clients of what came out, which are to be resumed.
func (p place) in(t *testing.T, all []given) (resume []func()) {
	t.Helper()
	for _, g := range all {
		r, err := p.MoveIn(g.state, g.fd, p.host.attach(g.client.id))
		if err != nil {
			t.Fatal(err)
		}
		resume = append(resume, r)
	}
	return resume
}

// cut ends the clients where they were.
func cut(all []given) {
	for _, g := range all {
		if g.client.w != nil {
			g.client.w.(plugin.InterruptedWriter).Interrupt()
			g.client.w.Close()
		}
		g.client.host.forget(g.client)
	}
}

// move is a whole move; it returns how many clients moved.
func move(t *testing.T, from, to place, slots uint64) int {
	t.Helper()
	all := from.out(t, slots)
	resume := to.in(t, all)
	cut(all)
	for _, r := range resume {
		r()
	}
	return len(all)
}

// attach registers a client under the id it had.
func (h *fakeHost) attach(id shared.ClientID) attachFunc {
	return func(_ plugin.Endpoint, address string, w plugin.Writer) (plugin.Client, error) {
		h.mu.Lock()
		defer h.mu.Unlock()
		c := &fakeClient{host: h, id: id, address: address, w: w}
		h.clients[c] = struct{}{}
		return c, nil
	}
}

// forget is a client that is elsewhere.
func (h *fakeHost) forget(c *fakeClient) {
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.clients, c)
}

// only is the client that a place has.
func (p place) only(t *testing.T) *fakeClient {
	t.Helper()
	p.host.mu.Lock()
	defer p.host.mu.Unlock()
	if len(p.host.clients) != 1 {
		t.Fatalf("%d clients, want 1", len(p.host.clients))
	}
	for c := range p.host.clients {
		return c
	}
	return nil
}

// read waits until the client's input has been read.
func (p place) read(t *testing.T) {
	t.Helper()
	c := p.only(t).w.(*stream)
	until(t, "input read", func() (empty bool) {
		c.raw.Control(func(fd uintptr) { empty = !readable(int(fd)) })
		return empty
	})
}
