package share

import (
	"encoding/binary"
	"sync"
	"sync/atomic"
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

// Counters go on over a restart; the manager has cleared the clients of the dead generation.
func TestReopen(t *testing.T) {
	fd := memfd(t, 1)
	first := open(t, fd, 0, 1)
	first.In(10)
	first.AddClients(5)
	if _, err := unix.Pwrite(fd, make([]byte, 16), 0); err != nil {
		t.Fatal(err)
	}
	second := open(t, fd, 0, 1)
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
			p.AddClients(-int(p.own.clients.Load()))
			p.Serve(tc.serving[i])
			p.AddClients(tc.clients[i])
		}
		if got := pages[0].AboveShare(); got != tc.want {
			t.Errorf("%s: AboveShare() = %v, want %v", tc.name, got, tc.want)
		}
	}
}

// The manager says in row 0 how many rows are in use; more may come while a process runs.
func TestRowsInUse(t *testing.T) {
	fd := memfd(t, 4)
	p, late := open(t, fd, 0, 2), open(t, fd, 3, 4)
	p.Serve(true)
	late.Serve(true)
	p.AddClients(2)
	if p.AboveShare() {
		t.Error("a row that is not in use counts")
	}
	word := make([]byte, 8)
	for used, want := range map[uint64]bool{4: true, 2: false, 1 << 40: true, 0: false} {
		binary.NativeEndian.PutUint64(word, used)
		if _, err := unix.Pwrite(fd, word, 176); err != nil {
			t.Fatal(err)
		}
		if got := p.AboveShare(); got != want {
			t.Errorf("%d rows in use: AboveShare() = %v, want %v", used, got, want)
		}
	}
}

// All rows in use count against the most that a service may have, also those of processes
// that take no more; of two that take the last one no more than one does.
func TestEnter(t *testing.T) {
	fd := memfd(t, 3)
	a, b := open(t, fd, 0, 2), open(t, fd, 1, 2)
	late := open(t, fd, 2, 3)
	late.AddClients(5) // not in use
	a.Serve(true)
	if !a.Enter(3) || !b.Enter(3) || a.Full(3) || !b.Enter(3) || !a.Full(3) {
		t.Fatal("there is no room for 3")
	}
	if a.Enter(3) || b.Enter(3) {
		t.Error("there is room for 4")
	}
	b.AddClients(-1)
	if !a.Enter(3) {
		t.Error("there is no room for a third")
	}
	var in atomic.Int32
	var all sync.WaitGroup
	for _, p := range []*Page{a, b} {
		all.Go(func() {
			for range 1000 {
				if p.Enter(4) {
					if in.Add(1) > 1 {
						t.Error("two took the last place")
					}
					in.Add(-1)
					p.AddClients(-1)
				}
			}
		})
	}
	all.Wait()
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
