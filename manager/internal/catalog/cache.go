package catalog

import (
	"sync"

	"github.com/antano/antano/shared"
)

// Cache remembers what plugins said of themselves, by checksum. The zero Cache is
// ready and safe for concurrent use.
type Cache struct {
	mu    sync.Mutex
	known map[Sum]*entry
}

type entry struct {
	mu sync.Mutex // held while describe runs, so that it runs once
	ok bool
	d  shared.Description
}

// Describe returns what is known of the file with that checksum, or calls describe.
// Calls for one checksum wait for each other, others do not. An error is not
// remembered.
func (c *Cache) Describe(sum Sum, describe func() (shared.Description, error)) (shared.Description, error) {
	e := c.entry(sum)
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.ok {
		return e.d, nil
	}
	d, err := describe()
	if err != nil {
		return shared.Description{}, err
	}
	e.d, e.ok = d, true
	return d, nil
}

func (c *Cache) entry(sum Sum) *entry {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.known == nil {
		c.known = make(map[Sum]*entry)
	}
	if c.known[sum] == nil {
		c.known[sum] = &entry{}
	}
	return c.known[sum]
}
