package catalog

import (
	"sync"

	"github.com/antano/antano/shared"
)

// Cache remembers what plugins said of themselves, by checksum. The zero Cache is
// ready and safe for concurrent use.
type Cache struct {
	mu    sync.Mutex
	known map[Sum]*answer
}

// answer is set once, before done is closed.
type answer struct {
	done chan struct{}
	d    shared.Description
	err  error
}

// Describe returns what is known of the file with that checksum, or calls describe.
// Calls for one checksum that come meanwhile wait for its answer, others do not. An
// error goes to all who waited and is not remembered.
func (c *Cache) Describe(sum Sum, describe func() (shared.Description, error)) (shared.Description, error) {
	a, first := c.answer(sum)
	if !first {
		<-a.done
		return a.d, a.err
	}
	if a.d, a.err = describe(); a.err != nil {
		c.forget(sum)
	}
	close(a.done)
	return a.d, a.err
}

func (c *Cache) answer(sum Sum) (_ *answer, first bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if a, ok := c.known[sum]; ok {
		return a, false
	}
	if c.known == nil {
		c.known = make(map[Sum]*answer)
	}
	a := &answer{done: make(chan struct{})}
	c.known[sum] = a
	return a, true
}

func (c *Cache) forget(sum Sum) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.known, sum)
}
