package catalog

import (
	"path/filepath"
	"sync"

	"github.com/antano/antano/shared"
)

// Cache remembers what plugins said of themselves, by checksum and name, and the
// checksums of their files. The zero Cache is ready and safe for concurrent use.
type Cache struct {
	mu    sync.Mutex
	known map[subject]*answer
	files map[string]file // by path
}

// subject is what described itself: the same file may do otherwise under another name.
type subject struct {
	sum  Sum
	name string
}

func subjectOf(path string, sum Sum) subject { return subject{sum, filepath.Base(path)} }

// answer is set once, before done is closed.
type answer struct {
	done chan struct{}
	d    shared.Description
	err  error
}

// Describe returns what is known of a file like b, or calls describe. Calls for one that come meanwhile wait for its answer, others do not. An
// error goes to all who waited and is not remembered.
func (c *Cache) Describe(b *Binary, describe func() (shared.Description, error)) (shared.Description, error) {
	about := subjectOf(b.Path, b.Sum)
	a, first := c.answer(about)
	if !first {
		<-a.done
		return a.d, a.err
	}
	if a.d, a.err = describe(); a.err != nil {
		c.forget(about)
	}
	close(a.done)
	return a.d, a.err
}

func (c *Cache) answer(about subject) (_ *answer, first bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if a, ok := c.known[about]; ok {
		return a, false
	}
	if c.known == nil {
		c.known = make(map[subject]*answer)
	}
	a := &answer{done: make(chan struct{})}
	c.known[about] = a
	return a, true
}

func (c *Cache) forget(about subject) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.known, about)
}
