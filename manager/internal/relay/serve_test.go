package relay

import (
	"context"
	"errors"
	"net"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// TestServeClosesItsSocket before it returns, not soon after: nobody else uses the number
// of its descriptor yet.
func TestServeClosesItsSocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "relay.sock")
	for range 200 {
		ln, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
		if err != nil {
			t.Fatal(err)
		}
		raw, err := ln.SyscallConn()
		if err != nil {
			t.Fatal(err)
		}
		var fd int
		if err := raw.Control(func(is uintptr) { fd = int(is) }); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		served := make(chan error)
		go func() { served <- New(Config{ServerID: 1}).Serve(ctx, ln) }()
		cancel()
		if err := <-served; err != nil {
			t.Fatal(err)
		}
		if err := unix.Fstat(fd, new(unix.Stat_t)); !errors.Is(err, unix.EBADF) {
			t.Fatalf("descriptor %d is still open: %v", fd, err)
		}
	}
}
