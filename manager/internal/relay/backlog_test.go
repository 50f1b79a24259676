package relay

import (
	"net"
	"os"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/antano/antano/shared/wire"
)

// TestBacklog counts what either end of a link has not read.
func TestBacklog(t *testing.T) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	ends := make([]*net.UnixConn, 2)
	for i, fd := range fds {
		f := os.NewFile(uintptr(fd), "link")
		conn, err := net.FileConn(f)
		if err != nil {
			t.Fatal(err)
		}
		f.Close()
		ends[i] = conn.(*net.UnixConn)
		t.Cleanup(func() { conn.Close() })
	}
	l := &Link{up: make(chan struct{})}
	if in, out := l.Backlog(); in != 0 || out != 0 {
		t.Errorf("before it is up %d and %d bytes", in, out)
	}
	sink, err := wire.NewSink(ends[0])
	if err != nil {
		t.Fatal(err)
	}
	l.conn = unixTransport{sink, ends[0]}
	close(l.up)
	if _, err := ends[1].Write(make([]byte, 100)); err != nil {
		t.Fatal(err)
	}
	if _, err := ends[0].Write(make([]byte, 5000)); err != nil {
		t.Fatal(err)
	}
	if in, out := l.Backlog(); in != 100 || out < 5000 {
		t.Errorf("%d bytes in and %d out, want 100 and at least 5000", in, out)
	}
	ends[0].Close()
	if in, out := l.Backlog(); in != 0 || out != 0 {
		t.Errorf("after it was closed %d and %d bytes", in, out)
	}
}
