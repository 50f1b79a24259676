package share

import (
	"encoding/binary"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/antano/antano/shared"
)

func memfd(t *testing.T, rows int) int {
	t.Helper()
	fd, err := unix.MemfdCreate("share", unix.MFD_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	if err := unix.Ftruncate(fd, int64(rows)*RowSize); err != nil {
		t.Fatal(err)
	}
	return fd
}

func open(t *testing.T, fd, index, rows int) *Page {
	t.Helper()
	p, err := Open(fd, index, rows)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	return p
}

// The offsets are what the manager and plugins in other languages read.
func TestLayout(t *testing.T) {
	if s := unsafe.Sizeof(row{}); s != RowSize {
		t.Fatalf("a row has %d bytes, want %d", s, RowSize)
	}
	fd := memfd(t, 4)
	p := open(t, fd, 2, 4)
	p.Serve(true)
	p.AddClients(3)
	p.AddClients(-1)
	p.In(10)
	p.In(5)
	p.Out(1, 7)
	p.Drop(shared.CodeKernel, 4)
	p.Drop(shared.CodeBadMessage, 1)

	b := make([]byte, RowSize)
	if _, err := unix.Pread(fd, b, 2*RowSize); err != nil {
		t.Fatal(err)
	}
	for off, want := range map[int]uint64{
		0: 1, 8: 2, 16: 2, 24: 1, 32: 15, 40: 7,
		48 + 8*int(shared.CodeBadMessage): 1, 48 + 8*int(shared.CodeKernel): 4, 48 + 8*int(shared.CodeTimeout): 0,
	} {
		if got := binary.NativeEndian.Uint64(b[off:]); got != want {
			t.Errorf("offset %d holds %d, want %d", off, got, want)
		}
	}
}

// Counters go on over a restart; the clients of the dead generation do not.
func TestReopen(t *testing.T) {
	fd := memfd(t, 1)
	first := open(t, fd, 0, 1)
	first.In(10)
	first.AddClients(5)
	second := open(t, fd, 0, 1)
	second.Reset()
	second.In(1)
	if clients, in, _, bytes, _ := second.Counts(); clients != 0 || in != 2 || bytes != 11 {
		t.Fatalf("after a restart: %d clients, %d messages, %d bytes", clients, in, bytes)
	}
}

func TestAboveShare(t *testing.T) {
	fd := memfd(t, 3)
	var pages [3]*Page
	for i := range pages {
		pages[i] = open(t, fd, i, 3)
	}
	for _, tc := range []struct {
		name    string
		serving [3]bool
		clients [3]int
		want    bool // for process 0
	}{
		{"nobody", [3]bool{true, true, true}, [3]int{0, 0, 0}, false},
		{"equal", [3]bool{true, true, true}, [3]int{4, 4, 4}, false},
		{"one more", [3]bool{true, true, true}, [3]int{5, 4, 4}, true},
		{"one fewer", [3]bool{true, true, true}, [3]int{3, 4, 4}, false},
		{"alone", [3]bool{true, false, false}, [3]int{9, 0, 0}, false},
		{"sibling is gone", [3]bool{true, false, true}, [3]int{5, 0, 5}, false},
	} {
		for i, p := range pages {
			p.Reset()
			p.Serve(tc.serving[i])
			p.AddClients(tc.clients[i])
		}
		if got := pages[0].AboveShare(); got != tc.want {
			t.Errorf("%s: AboveShare() = %v, want %v", tc.name, got, tc.want)
		}
	}
}

func TestOpenRefuses(t *testing.T) {
	fd := memfd(t, 2)
	for _, tc := range []struct{ fd, index, rows int }{{fd, 2, 2}, {fd, -1, 2}, {fd, 0, 3}, {fd, 0, 0}, {-1, 0, 1}} {
		if p, err := Open(tc.fd, tc.index, tc.rows); err == nil {
			p.Close()
			t.Errorf("Open(%d, %d, %d) succeeded", tc.fd, tc.index, tc.rows)
		}
	}
}
