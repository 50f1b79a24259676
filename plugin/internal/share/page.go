package share

import (
	"fmt"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/antano/antano/shared"
)

// RowSize is the size of one process's row in bytes.
const RowSize = 256

// maxRows is how many rows are looked at: two for each process that a service may have.
const maxRows = 2 * 1024

// serving is the state of a row whose process takes clients.
const serving = 1

// row is the layout of one row, in native byte order.
type row struct {
	state, clients          atomic.Uint64
	messagesIn, messagesOut atomic.Uint64
	bytesIn, bytesOut       atomic.Uint64
	drops                   [16]atomic.Uint64
	used                    atomic.Uint64 // of row 0: how many rows are in use; 0: what Start said
	_                       [RowSize - 23*8]byte
}

// Page is the shared page and which of its rows is ours.
type Page struct {
	rows   []row
	used   int // at Start
	own    *row
	mapped []byte // nil: plain memory
}

// New returns a page in plain memory, for a process that inherited none.
func New(index, rows int) *Page {
	p := &Page{rows: make([]row, rows), used: rows}
	p.own = &p.rows[index]
	return p
}

// Open maps the descriptor fd, of which rows are in use at first and index is ours. It
// does not own fd, which may be closed afterwards.
func Open(fd, index, rows int) (*Page, error) {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return nil, fmt.Errorf("stat share page (descriptor %d): %w", fd, err)
	}
	if rows < 1 || index < 0 || index >= rows || st.Size < int64(rows)*RowSize {
		return nil, fmt.Errorf("share page of %d bytes has no row %d of %d", st.Size, index, rows)
	}
	size := int(min(st.Size, maxRows*RowSize)) / RowSize * RowSize
	b, err := unix.Mmap(fd, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("map share page (descriptor %d): %w", fd, err)
	}
	p := &Page{mapped: b, rows: unsafe.Slice((*row)(unsafe.Pointer(&b[0])), size/RowSize), used: rows}
	p.own = &p.rows[index]
	return p, nil
}

// Close unmaps the page.
func (p *Page) Close() error {
	if p.mapped == nil {
		return nil
	}
	b := p.mapped
	p.mapped, p.rows, p.own = nil, nil, nil
	return unix.Munmap(b)
}

// Serve marks the row as one that takes clients, or no longer does.
func (p *Page) Serve(on bool) {
	var v uint64
	if on {
		v = serving
	}
	p.own.state.Store(v)
}

// AddClients counts n clients more, or fewer when negative.
func (p *Page) AddClients(n int) { p.own.clients.Add(uint64(n)) }

// In counts one message of n bytes read from a client.
func (p *Page) In(n int) {
	p.own.messagesIn.Add(1)
	p.own.bytesIn.Add(uint64(n))
}

// TakeBack uncounts one message of n bytes, which another process is going to count.
func (p *Page) TakeBack(n int) {
	p.own.messagesIn.Add(^uint64(0))
	p.own.bytesIn.Add(-uint64(n))
}

// Out counts messages written to a client, and bytes, of messages that may not be
// whole yet.
func (p *Page) Out(messages, bytes int) {
	p.own.messagesOut.Add(uint64(messages))
	p.own.bytesOut.Add(uint64(bytes))
}

// Drop counts n messages that were not delivered.
func (p *Page) Drop(code shared.Code, n int) {
	if int(code) < len(p.own.drops) {
		p.own.drops[code].Add(uint64(n))
	}
}

// Drops returns how many messages were dropped for code.
func (p *Page) Drops(code shared.Code) uint64 { return p.own.drops[code].Load() }

// Counts returns the clients now, and messages and bytes in and out.
func (p *Page) Counts() (clients, messagesIn, messagesOut, bytesIn, bytesOut uint64) {
	r := p.own
	return r.clients.Load(), r.messagesIn.Load(), r.messagesOut.Load(), r.bytesIn.Load(), r.bytesOut.Load()
}

// Enter counts one client more, unless the service has most of them already.
func (p *Page) Enter(most int) bool {
	p.AddClients(1) // first, so that of two processes that take the last one both do not
	if p.total() <= uint64(most) {
		return true
	}
	p.AddClients(-1)
	return false
}

// Full reports whether the service has most clients.
func (p *Page) Full(most int) bool { return p.total() >= uint64(most) }

// total is how many clients all processes have.
func (p *Page) total() (n uint64) {
	for i := range p.inUse() {
		n += p.rows[i].clients.Load()
	}
	return n
}

// inUse are the rows that are.
func (p *Page) inUse() []row {
	used := p.rows[0].used.Load()
	if used == 0 {
		used = uint64(p.used)
	}
	return p.rows[:min(used, uint64(len(p.rows)))]
}

// AboveShare reports whether our process has more clients than its part of what
// all serving processes have.
func (p *Page) AboveShare() bool {
	var total, processes uint64
	for i := range p.inUse() {
		if r := &p.rows[i]; r.state.Load() == serving {
			processes++
			total += r.clients.Load()
		}
	}
	return p.own.clients.Load()*processes > total
}
