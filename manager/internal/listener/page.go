package listener

import (
	"fmt"
	"sync"
	"sync/atomic"
	"unsafe"

	"github.com/antano/antano/shared"
	"golang.org/x/sys/unix"
)

// The layout of the page: one row a process, in words of 8 bytes in native byte
// order. Source: docs/protocol.md "Share page".
const (
	// RowSize is the size of a row in bytes.
	RowSize = 256
	// MaxRows is how many rows a page has: two for each process that a service may have.
	MaxRows = 2 * 1024

	wordState       = 0
	wordClients     = 1
	wordMessagesIn  = 2
	wordMessagesOut = 3
	wordBytesIn     = 4
	wordBytesOut    = 5
	wordDrops       = 6
	wordUsed        = 22 // of row 0: how many rows are in use
	rowWords        = RowSize / 8
)

// Counters is a row as it was at one moment. The counters of a process continue
// over its restarts; Serving and Clients are those of the running generation.
type Counters struct {
	Serving     bool
	Clients     uint64
	MessagesIn  uint64
	MessagesOut uint64
	BytesIn     uint64
	BytesOut    uint64
	Drops       [shared.NumCodes]uint64
}

// Page is the memory that the processes of one service share: how many clients
// each has and what it counted. All methods are safe for concurrent use; none
// blocks.
type Page struct {
	fd int

	mu  sync.RWMutex // held over the access, so that Close cannot unmap under it
	mem []byte
}

// NewPage makes a page of zeroes with MaxRows rows, which take memory once they are
// used. Its size is sealed, so that no process can shrink it under the others.
func NewPage() (p *Page, err error) {
	const rows = MaxRows
	fd, err := unix.MemfdCreate("antano-share", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	if err != nil {
		return nil, fmt.Errorf("make the share page: %w", err)
	}
	defer func() {
		if err != nil {
			_ = unix.Close(fd)
		}
	}()
	if err := unix.Ftruncate(fd, rows*RowSize); err != nil {
		return nil, fmt.Errorf("size the share page: %w", err)
	}
	const seals = unix.F_SEAL_SHRINK | unix.F_SEAL_GROW | unix.F_SEAL_SEAL
	if _, err := unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, seals); err != nil {
		return nil, fmt.Errorf("seal the share page: %w", err)
	}
	mem, err := unix.Mmap(fd, 0, rows*RowSize, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("map the share page: %w", err)
	}
	return &Page{fd: fd, mem: mem}, nil
}

// FD is the descriptor that processes inherit as `share`. It stays the page's.
func (p *Page) FD() int { return p.fd }

// Use says how many rows are in use, which processes look up while they run. It panics
// when there are not so many.
func (p *Page) Use(rows int) {
	if rows < 1 || rows > MaxRows {
		panic(fmt.Sprintf("listener: %d of %d rows of a share page", rows, MaxRows))
	}
	p.mu.RLock()
	defer p.mu.RUnlock()
	if p.mem != nil {
		atomic.StoreUint64(&p.row(0)[wordUsed], uint64(rows))
	}
}

// Used is how many rows are in use; 0 after Close.
func (p *Page) Used() int {
	p.mu.RLock()
	defer p.mu.RUnlock()
	if p.mem == nil {
		return 0
	}
	return int(min(atomic.LoadUint64(&p.row(0)[wordUsed]), MaxRows))
}

// Snapshot reads row i, each number for itself; zeroes after Close. It panics when
// there is no such row.
func (p *Page) Snapshot(i int) Counters {
	p.mu.RLock()
	defer p.mu.RUnlock()
	var c Counters
	if p.mem == nil {
		return c
	}
	row := p.row(i)
	load := func(word int) uint64 { return atomic.LoadUint64(&row[word]) }
	c.Serving = load(wordState) == 1
	c.Clients = load(wordClients)
	c.MessagesIn, c.MessagesOut = load(wordMessagesIn), load(wordMessagesOut)
	c.BytesIn, c.BytesOut = load(wordBytesIn), load(wordBytesOut)
	for code := range c.Drops {
		c.Drops[code] = load(wordDrops + code)
	}
	return c
}

// Clear says that the process of row i serves no more and has no clients. Its
// counters stay.
func (p *Page) Clear(i int) {
	p.mu.RLock()
	defer p.mu.RUnlock()
	if p.mem == nil {
		return
	}
	row := p.row(i)
	atomic.StoreUint64(&row[wordState], 0)
	atomic.StoreUint64(&row[wordClients], 0)
}

// Close unmaps the page and closes its descriptor. Calling it again does nothing.
func (p *Page) Close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.mem == nil {
		return
	}
	_ = unix.Munmap(p.mem)
	_ = unix.Close(p.fd)
	p.mem = nil
}

func (p *Page) row(i int) *[rowWords]uint64 {
	return (*[rowWords]uint64)(unsafe.Pointer(&p.mem[i*RowSize : (i+1)*RowSize][0]))
}
