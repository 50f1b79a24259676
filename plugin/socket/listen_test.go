package socket

import (
	"errors"
	"net"
	"sync/atomic"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/antano/antano/plugin"
	"github.com/antano/antano/shared"
)

func TestListen(t *testing.T) {
	sock, address := listenTCP(t)
	first, second := newFakeHost([]plugin.Socket{sock}), newFakeHost([]plugin.Socket{sock})
	l, err := Listen(first, nil)
	if err != nil {
		t.Fatal(err)
	}
	if l.Addr().String() != address {
		t.Errorf("listens at %v, want %s", l.Addr(), address)
	}
	accepted := make(chan net.Conn)
	failed := make(chan error, 1)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				failed <- err
				return
			}
			accepted <- c
		}
	}()
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	in := <-accepted
	if in.RemoteAddr().String() != c.LocalAddr().String() {
		t.Errorf("the peer is %v", in.RemoteAddr())
	}
	in.Close()
	l.Close()
	if err := <-failed; !errors.Is(err, net.ErrClosed) {
		t.Errorf("accept ends with %v", err)
	}
	if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("accept after close: %v", err)
	}

	// The socket is still good for another process.
	other, err := Listen(second, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	again, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	if in, err = other.Accept(); err != nil {
		t.Fatal(err)
	}
	in.Close()
	if flags, err := unix.FcntlInt(uintptr(sock.FD), unix.F_GETFL, 0); err != nil || flags&unix.O_NONBLOCK == 0 {
		t.Errorf("the shared socket has become blocking: %#x, %v", flags, err)
	}
}

// TestListenersAreBalanced: a process above its share leaves connections to its sibling.
func TestListenersAreBalanced(t *testing.T) {
	sock, address := listenTCP(t)
	var counts [2]atomic.Int64
	for i := range counts {
		h := newFakeHost([]plugin.Socket{sock})
		h.above = func() bool { return counts[i].Load() > counts[1-i].Load() }
		l, err := Listen(h, nil)
		if err != nil {
			t.Fatal(err)
		}
		ended := make(chan struct{})
		t.Cleanup(func() { l.Close(); <-ended })
		go func() {
			defer close(ended)
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				counts[i].Add(1)
				c.Close()
			}
		}()
	}
	const all = 200
	for range all {
		dial(t, "tcp", address).Close()
	}
	until(t, "all accepted", func() bool { return counts[0].Load()+counts[1].Load() == all })
	for i := range counts {
		if n := counts[i].Load(); n > all*5/8 {
			t.Errorf("one loop took %d of %d", n, all)
		}
	}
}

// TestListenRefuses tells a peer for which there is no descriptor what was asked for.
func TestListenRefuses(t *testing.T) {
	sock, address := listenTCP(t)
	h := newFakeHost([]plugin.Socket{sock})
	l, err := Listen(h, []byte("busy"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c := dial(t, "tcp", address)
	own := l.(*sharedListener)
	until(t, "a connection waits", func() bool { return readable(sock.FD) })
	if !own.refuse(own.refuseNow) {
		t.Fatal("nothing was refused")
	}
	expect(t, c, "busy")
	if h.dropped(shared.CodeOverloaded) != 1 || own.spare < 0 {
		t.Errorf("dropped %v, spare %d", h.drops, own.spare)
	}
}

func TestListenWithoutASocket(t *testing.T) {
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_DGRAM|syscall.SOCK_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer syscall.Close(fds[0])
	defer syscall.Close(fds[1])
	for _, sockets := range [][]plugin.Socket{nil, {{Name: "unix", FD: fds[0]}}} {
		if l, err := Listen(newFakeHost(sockets), nil); err == nil {
			l.Close()
			t.Errorf("listens on %v", sockets)
		}
	}
}
