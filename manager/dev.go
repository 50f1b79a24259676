package manager

import (
	"context"
	"errors"
	"os"
	"slices"
	"time"

	"github.com/antano/antano/manager/internal/control"
)

// devInterval is how often a server in development looks whether plugins have changed.
// A file that is being written differs from one look to the next, and is left alone.
const devInterval = 300 * time.Millisecond

// watchPlugins reloads when a plugin has changed on disk, until ctx ends.
func (s *Server) watchPlugins(ctx context.Context) {
	tick := time.NewTicker(devInterval)
	defer tick.Stop()
	applied := s.pluginFiles()
	seen := applied
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		now := s.pluginFiles()
		settled := slices.Equal(now, seen)
		seen = now
		if !settled || slices.Equal(now, applied) {
			continue
		}
		switch err := s.Reload(); {
		case err == nil:
			applied = now
		case !errors.Is(err, control.ErrConflict): // else the next look tries again
			s.cfg.Logger.Error("a plugin changed on disk, but it cannot be rolled out", "err", err)
			applied = now
		}
	}
}

// pluginFile is what a look at a plugin's file shows.
type pluginFile struct {
	path     string
	size     int64
	modified time.Time
}

// pluginFiles looks at the plugins of all services. One that is missing has size -1.
func (s *Server) pluginFiles() []pluginFile {
	var files []pluginFile
	for _, svc := range s.snapshot() {
		f := pluginFile{path: svc.plan().Plugin.Path, size: -1}
		if st, err := os.Stat(f.path); err == nil {
			f.size, f.modified = st.Size(), st.ModTime()
		}
		if !slices.Contains(files, f) {
			files = append(files, f)
		}
	}
	return files
}
