package socket

import (
	"errors"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/antano/antano/plugin"
	"github.com/antano/antano/shared"
)

func TestUnixDatagrams(t *testing.T) {
	sock, path := listenUnix(t, unix.SOCK_DGRAM)
	h := newFakeHost([]plugin.Socket{sock})
	s := serve(t, h, Config{})
	s.AssignSlots(1)
	c := dialUnixgram(t, path)
	write(t, c, "bound")
	read(t, c, "bound")
	if client := next(t, h.opened); client.address != c.LocalAddr().String() || client.w == nil {
		t.Fatalf("client %+v", client)
	}
	for range 2 {
		unbound := dial(t, "unixgram", path)
		write(t, unbound, "unbound")
	}
	client := next(t, h.opened)
	if client.w != nil {
		t.Fatal("an unbound source has a way back")
	}
	until(t, "both received as one client", func() bool { return len(client.all()) == 2 })
	n, err := answerable(h).write([][]byte{make([]byte, h.config.MaxFrame+1)}, true)
	if e, ok := errors.AsType[*shared.Error](err); n != 0 || !ok || e.Code != shared.CodeTooLarge {
		t.Fatalf("wrote %d, %v", n, err)
	}
	if n, err := answerable(h).write([][]byte{make([]byte, h.config.MaxFrame)}, true); n != h.config.MaxFrame {
		t.Fatalf("wrote %d, %v", n, err)
	}
	c.Close()
	if _, err := answerable(h).write([][]byte{[]byte("x")}, false); err == nil {
		t.Fatal("wrote to a closed peer")
	} else if _, ok := errors.AsType[*shared.Error](err); ok {
		t.Fatalf("a peer that is gone is the end of the client: %v", err)
	}
}

// answerable is a client that has a Writer.
func answerable(h *fakeHost) *fakeClient {
	h.mu.Lock()
	defer h.mu.Unlock()
	for c := range h.clients {
		if c.w != nil {
			return c
		}
	}
	return nil
}

func TestFullUnixReceiverIsRetriedForPushBack(t *testing.T) {
	sock, path := listenUnix(t, unix.SOCK_DGRAM)
	h := newFakeHost([]plugin.Socket{sock})
	s := serve(t, h, Config{})
	s.AssignSlots(1)
	c := dialUnixgram(t, path)
	write(t, c, "x")
	read(t, c, "x")
	w := next(t, h.opened)
	full := 0
	for {
		_, err := w.write([][]byte{[]byte("m")}, false)
		if errors.Is(err, plugin.ErrWouldBlock) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		full++
	}
	start := time.Now()
	n, err := w.write([][]byte{[]byte("m")}, true)
	if e, ok := errors.AsType[*shared.Error](err); n != 0 || !ok || e.Code != shared.CodeOverloaded {
		t.Fatalf("wrote %d, %v", n, err)
	}
	if d := time.Since(start); d < h.push || d > 3*h.push {
		t.Fatalf("retried for %s", d)
	}
	h.push = time.Hour // a test that waits for it fails
	w.w.(*source).full = time.Now().Add(-h.push)
	if _, err := w.write([][]byte{[]byte("m")}, true); err == nil {
		t.Fatal("a full receiver took a message")
	}
	read(t, c, "m")
	for range 2 { // one fits; the next one finds push_back unused, and waits until it does
		wrote := make(chan error, 1)
		go func() { _, err := w.write([][]byte{[]byte("m")}, true); wrote <- err }()
		read(t, c, "m")
		if err := <-wrote; err != nil {
			t.Fatal(err)
		}
	}
}
