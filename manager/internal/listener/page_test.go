package listener

import (
	"sync"
	"testing"

	"github.com/antano/antano/shared"
	"golang.org/x/sys/unix"
)

// TestPageIsShared writes through a second mapping, as a process does.
func TestPageIsShared(t *testing.T) {
	p, err := NewPage()
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	mem, err := unix.Mmap(p.FD(), 0, 3*RowSize, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Munmap(mem)
	other := &Page{mem: mem}
	row := other.row(1)
	for i := range row {
		row[i] = uint64(100 + i)
	}
	row[0] = 1
	want := Counters{Serving: true, Clients: 101, MessagesIn: 102, MessagesOut: 103, BytesIn: 104, BytesOut: 105}
	for code := range shared.NumCodes {
		want.Drops[code] = uint64(106 + code)
	}
	if got := p.Snapshot(1); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if p.Snapshot(0) != (Counters{}) || p.Snapshot(2) != (Counters{}) {
		t.Error("a neighbour's row changed")
	}
	p.Clear(1)
	want.Serving, want.Clients = false, 0
	if got := p.Snapshot(1); got != want {
		t.Errorf("after Clear %+v, want %+v", got, want)
	}
}

func TestPageCannotBeResized(t *testing.T) {
	p, err := NewPage()
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	for _, size := range []int64{0, MaxRows * RowSize * 2} {
		if err := unix.Ftruncate(p.FD(), size); err != unix.EPERM {
			t.Errorf("resize to %d: %v", size, err)
		}
	}
}

// TestPageUse is told to running processes through row 0.
func TestPageUse(t *testing.T) {
	p, err := NewPage()
	if err != nil {
		t.Fatal(err)
	}
	p.Use(6)
	if p.Used() != 6 || p.row(0)[22] != 6 || p.Snapshot(0) != (Counters{}) {
		t.Errorf("%d rows are in use, the word says %d", p.Used(), p.row(0)[22])
	}
	p.Use(MaxRows)
	if p.Snapshot(MaxRows-1) != (Counters{}) || p.Used() != MaxRows {
		t.Error("the last row is not there")
	}
	p.Close()
	p.Use(2)
	if p.Used() != 0 {
		t.Error("in use after Close")
	}
	defer func() {
		if recover() == nil {
			t.Error("too many rows are allowed")
		}
	}()
	p.Use(MaxRows + 1)
}

func TestPageCloseWhileRead(t *testing.T) {
	before := openDescriptors(t)
	for range 50 {
		p, err := NewPage()
		if err != nil {
			t.Fatal(err)
		}
		var readers sync.WaitGroup
		for range 4 {
			readers.Go(func() {
				for range 100 {
					p.Snapshot(0)
					p.Clear(0)
				}
			})
		}
		p.Close()
		p.Close()
		readers.Wait()
	}
	if after := openDescriptors(t); after != before {
		t.Errorf("%d descriptors left", after-before)
	}
}
