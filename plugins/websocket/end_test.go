package main

import (
	"context"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/antano/antano/shared"
)

// TestDrain: a client gets what waits for it, and then is told to go elsewhere.
func TestDrain(t *testing.T) {
	h := serve(t, shared.ServiceParams{})
	p, q, other := dial(t, h), dial(t, h), h.Peer()
	for _, member := range []*peer{p, q} {
		member.send(websocket.MessageText, `{"type":"join","entity":"room","entity_id":7,"id":1}`)
		member.next()
	}
	large := strings.Repeat("x", 150_000) // five of them fit the queue
	for range 5 {
		other.Send(`{"entity":"room","entity_id":7,"message":%q}`, large)
		q.next() // so it is queued for the other, too
	}
	drained := make(chan int, 1)
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		drained <- h.Drain(ctx)
	}()
	for range 5 {
		if _, got := p.next(); len(got) < len(large) {
			t.Errorf("got %.100s", got)
		}
	}
	p.closed(websocket.StatusGoingAway)
	if n := <-drained; n != 0 {
		t.Errorf("%d clients were not done", n)
	}
}

func TestStop(t *testing.T) {
	h := serve(t, shared.ServiceParams{})
	p := dial(t, h)
	p.send(websocket.MessageText, ping)
	p.want(pong)
	stopped := make(chan struct{})
	go func() {
		h.Stop()
		close(stopped)
	}()
	p.closed(websocket.StatusGoingAway)
	<-stopped
}

func TestIdle(t *testing.T) {
	h := serve(t, shared.ServiceParams{Limits: shared.Limits{IdleTimeout: 100 * time.Millisecond}})
	dial(t, h).closed(websocket.StatusNormalClosure)
	pollUntil(t, "the client is forgotten", func() bool { return h.Clients() == 0 })
}

// TestPing: a peer that answers pings stays, one that is silent goes.
func TestPing(t *testing.T) {
	h := serve(t, withSettings(`{"ping_interval":1}`))
	there := dial(t, h)
	pings := make(chan struct{})
	go func() { // a reader answers pings by itself
		defer close(pings)
		there.ws.Read(t.Context())
	}()
	gone := raw(t, h.Address())
	pollUntil(t, "both are clients", func() bool { return h.Clients() == 2 })
	buffer := make([]byte, 64)
	n, err := gone.Read(buffer)
	if err != nil || buffer[0] != 0x89 {
		t.Errorf("the silent peer got % x, %v, want a ping", buffer[:n], err)
	}
	if n, err = gone.Read(buffer); err == nil {
		t.Errorf("the silent peer got % x, want the end", buffer[:n])
	}
	pollUntil(t, "one is left", func() bool { return h.Clients() == 1 })
	there.ws.CloseNow()
	<-pings
}

// raw is a WebSocket without a library: it answers nothing.
func raw(t *testing.T, address string) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	c.Write([]byte("GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" +
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"))
	var head []byte
	for one := make([]byte, 1); !strings.HasSuffix(string(head), "\r\n\r\n"); {
		if _, err := c.Read(one); err != nil {
			t.Fatalf("the answer ended at %q: %v", head, err)
		}
		head = append(head, one[0])
	}
	if !strings.HasPrefix(string(head), "HTTP/1.1 101 ") {
		t.Fatalf("got %q", head)
	}
	return c
}

// TestBadFrames end their own connection.
func TestBadFrames(t *testing.T) {
	h := serve(t, shared.ServiceParams{})
	well := dial(t, h)
	for name, frame := range map[string]string{
		"not masked":           "\x81\x02{}",
		"reserved bits":        "\xf1\x80\x00\x00\x00\x00",
		"unknown opcode":       "\x83\x80\x00\x00\x00\x00",
		"a lone continuation":  "\x80\x80\x00\x00\x00\x00",
		"a fragmented ping":    "\x09\x80\x00\x00\x00\x00",
		"a negative length":    "\x81\xff\xff\xff\xff\xff\xff\xff\xff\xff\x00\x00\x00\x00",
		"a close that is none": "\x88\x81\x00\x00\x00\x00x",
	} {
		c := raw(t, h.Address())
		if _, err := c.Write([]byte(frame)); err != nil {
			t.Fatal(err)
		}
		buffer := make([]byte, 256)
		for err := error(nil); err == nil; {
			_, err = c.Read(buffer)
			if ne, ok := err.(net.Error); ok && ne.Timeout() {
				t.Errorf("%s: the connection stays", name)
			}
		}
	}
	pollUntil(t, "one client is left", func() bool { return h.Clients() == 1 })
	well.send(websocket.MessageText, ping)
	well.want(pong)
}

// TestSlowReader: what does not fit its queue is dropped and counted, others go on, and it
// ends when the service does.
func TestSlowReader(t *testing.T) {
	h := serve(t, shared.ServiceParams{Limits: shared.Limits{ClientQueueBytes: 300_000}})
	slow, quick, other := raw(t, h.Address()), dial(t, h), h.Peer()
	slow.(*net.TCPConn).SetReadBuffer(4096) // so that little is under way
	join := `{"type":"join","entity":"room","entity_id":7,"id":1}`
	if _, err := slow.Write(append([]byte{0x81, 0x80 | byte(len(join)), 0, 0, 0, 0}, join...)); err != nil {
		t.Fatal(err)
	}
	if _, err := slow.Read(make([]byte, 64)); err != nil { // it has joined
		t.Fatal(err)
	}
	quick.send(websocket.MessageText, join)
	quick.next()
	text := strings.Repeat("x", 50_000)
	for h.Drops(shared.CodeOverloaded) == 0 {
		other.Send(`{"entity":"room","entity_id":7,"message":%q}`, text)
		quick.next()
	}
	if h.Clients() != 2 {
		t.Errorf("%d clients", h.Clients())
	}
}
