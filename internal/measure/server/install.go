package server

import (
	"os"
	"path/filepath"

	"github.com/antano/antano/shared"
)

// install makes a plugin directory in which the running program is the plugin of its
// type, before the directories with the others.
func (s *Server) install() error {
	own := filepath.Join(s.Dir, "plugins")
	if err := os.Mkdir(own, 0o700); err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	dirs := s.cfg.PluginDirs
	if len(dirs) == 0 {
		dirs = append(dirs, filepath.Join(filepath.Dir(s.cfg.Bin), "plugins"))
		if more := os.Getenv("ANTANO_PLUGIN_DIR"); more != "" {
			dirs = append(dirs, more)
		}
	}
	s.cfg.PluginDirs = append([]string{own}, dirs...)
	return os.Symlink(self, filepath.Join(own, shared.PluginPrefix+s.cfg.Plugin))
}
