package main

import (
	"sync"

	"github.com/antano/antano/chaos/internal/ledger"
	"github.com/antano/antano/manager"
)

// drops follows what the server counts as dropped. A process that is removed takes
// its counters along, so the most that was ever seen counts.
type drops struct {
	mu   sync.Mutex
	seen map[dropKey]uint64
	base map[dropKey]uint64
}

type dropKey struct {
	process int
	code    string
}

// see takes note of a status; the first one is what is subtracted.
func (d *drops) see(st manager.Status) {
	d.mu.Lock()
	defer d.mu.Unlock()
	first := d.seen == nil
	if first {
		d.seen, d.base = map[dropKey]uint64{}, map[dropKey]uint64{}
	}
	for _, s := range st.Services {
		for _, p := range s.Processes {
			for code, n := range p.Drops {
				k := dropKey{p.ProcessID, code}
				d.seen[k] = max(d.seen[k], n)
				if first {
					d.base[k] = n
				}
			}
		}
	}
}

func (d *drops) byCode() map[string]int {
	d.mu.Lock()
	defer d.mu.Unlock()
	by := map[string]int{}
	for k, n := range d.seen {
		if n > d.base[k] {
			by[k.code] += int(n - d.base[k])
		}
	}
	return by
}

func (d *drops) sum() (sum ledger.Drops) {
	by := d.byCode()
	for _, n := range by {
		sum.All += n
	}
	sum.Kernel = by["kernel"]
	sum.Gone = by["no_such_entity"] + by["no_such_process"] + by["process_lost"] + by["shutting_down"]
	return sum
}
