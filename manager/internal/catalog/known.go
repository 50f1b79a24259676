package catalog

import (
	"os"
	"syscall"
	"time"

	"github.com/antano/antano/shared"
)

// Stamp tells a file's content without a look at it: every change of the content
// changes it, for whoever cannot set the clock.
type Stamp struct {
	Dev     uint64 `json:"dev"`
	Inode   uint64 `json:"inode"`
	Size    int64  `json:"size"`
	Mtime   int64  `json:"mtime_ns"`
	Changed int64  `json:"ctime_ns"`
}

// Known is what is known of a plugin's file.
type Known struct {
	Path        string
	Stamp       Stamp
	Sum         Sum
	Description shared.Description
}

// file is the last one that was checksummed at a path.
type file struct {
	stamp Stamp
	sum   Sum
}

const (
	// grain is more than what two changes that leave the same time can be apart, and
	// coarseGrain where times are those of whole seconds.
	grain       = 100 * time.Millisecond
	coarseGrain = 2 * time.Second
)

// stampOf is the stamp of a file; false when it does not tell what is written now.
func stampOf(info os.FileInfo, now time.Time) (Stamp, bool) {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return Stamp{}, false
	}
	s := Stamp{uint64(st.Dev), st.Ino, st.Size, st.Mtim.Nano(), st.Ctim.Nano()}
	least := grain
	if st.Ctim.Nsec == 0 {
		least = coarseGrain
	}
	return s, now.UnixNano()-s.Changed > int64(least)
}

// Open opens a file as the function Open does, but reads it only if its stamp is not
// that of the last one that was checksummed at the path.
func (c *Cache) Open(path string) (*Binary, error) {
	return open(path, func(f *os.File, info os.FileInfo) (Sum, error) {
		stamp, settled := stampOf(info, time.Now())
		c.mu.Lock()
		last, ok := c.files[path]
		c.mu.Unlock()
		if ok && settled && last.stamp == stamp {
			return last.sum, nil
		}
		sum, err := checksum(f, info)
		if err == nil && settled {
			c.seen(path, file{stamp, sum})
		}
		return sum, err
	})
}

func (c *Cache) seen(path string, f file) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.files == nil {
		c.files = make(map[string]file)
	}
	c.files[path] = f
}

// Known is what Learn of another program can use: the files that were opened last at
// their paths and described.
func (c *Cache) Known() (all []Known) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for path, f := range c.files {
		a := c.known[subjectOf(path, f.sum)]
		if a == nil {
			continue
		}
		select {
		case <-a.done:
			if a.err == nil {
				all = append(all, Known{path, f.stamp, f.sum, a.d})
			}
		default:
		}
	}
	return all
}

// Learn takes what an earlier program knew, unless it is known better.
func (c *Cache) Learn(all []Known) {
	for _, k := range all {
		a, first := c.answer(subjectOf(k.Path, k.Sum))
		if first {
			a.d = k.Description
			close(a.done)
		}
		c.mu.Lock()
		_, ok := c.files[k.Path]
		c.mu.Unlock()
		if !ok {
			c.seen(k.Path, file{k.Stamp, k.Sum})
		}
	}
}
