package socket

import (
	"bytes"
	"errors"
	"io"
	"net"
	"testing"
	"time"

	"github.com/antano/antano/plugin"
)

// filled is a connection whose peer has not read what was written.
func filled(t *testing.T) (peer net.Conn, c *fakeClient, size int) {
	t.Helper()
	sock, addr := listenTCP(t)
	h := newFakeHost([]plugin.Socket{sock})
	ended := make(chan struct{})
	h.receive = func(*fakeClient, []byte) error { <-ended; return nil } // as of a retired client
	serve(t, h, Config{})
	t.Cleanup(func() { close(ended) })
	peer = dial(t, "tcp", addr)
	c = next(t, h.opened)
	if n := c.w.(plugin.UnsentWriter).Unsent(); n != 0 {
		t.Fatalf("%d bytes unsent of an idle connection", n)
	}
	for {
		n, err := c.w.Write([][]byte{make([]byte, 1<<20)}, false)
		size += n
		if errors.Is(err, plugin.ErrWouldBlock) {
			return peer, c, size
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// What a peer has not acknowledged would be lost by a close with unread input.
func TestUnsentOutputIsDelivered(t *testing.T) {
	peer, c, size := filled(t)
	w := c.w.(plugin.UnsentWriter)
	if w.Unsent() == 0 {
		t.Fatal("nothing unsent of a connection whose peer does not read")
	}
	write(t, peer, "nobody reads this\n")
	done := make(chan int64, 1)
	go func() { n, _ := io.Copy(io.Discard, peer); done <- n }()
	until(t, "all acknowledged", func() bool { return w.Unsent() == 0 })
	c.w.Close()
	if n := <-done; n != int64(size) {
		t.Fatalf("the peer read %d of %d bytes", n, size)
	}
}

// A peer that does not read is not waited for, and finds the output when it does, whatever
// it has sent meanwhile.
func TestUnsentOutputSurvivesTheClose(t *testing.T) {
	peer, c, size := filled(t)
	write(t, peer, string(bytes.Repeat([]byte("nobody reads this\n"), 5000)))
	w := c.w.(plugin.UnsentWriter)
	start := time.Now()
	until(t, "not waited for", func() bool { return w.Unsent() == 0 })
	if d := time.Since(start); d > 2*lingerTime {
		t.Fatalf("waited %s for a peer that does not read", d)
	}
	c.w.Close()
	if n, err := io.Copy(io.Discard, peer); err != nil || n != int64(size) {
		t.Fatalf("the peer read %d of %d bytes, %v", n, size, err)
	}
}
