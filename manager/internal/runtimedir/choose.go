package runtimedir

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
)

// Choose returns the absolute path of a server's runtime directory: flag when it is
// not empty, else /run/antano/<id> for root, else $XDG_RUNTIME_DIR/antano/<id>, else
// /tmp/antano-<uid>/<id>. It looks at nothing but whether $XDG_RUNTIME_DIR exists.
// Source: docs/control.md "Runtime directory".
func Choose(flag string, serverID int) (string, error) {
	return choose(flag, serverID, os.Getuid(), os.Getenv("XDG_RUNTIME_DIR"))
}

func choose(flag string, serverID, uid int, xdg string) (string, error) {
	if flag != "" {
		path, err := filepath.Abs(flag)
		if err != nil {
			return "", fmt.Errorf("find runtime directory %s: %w", flag, err)
		}
		return path, nil
	}
	id := strconv.Itoa(serverID)
	if uid == 0 {
		return filepath.Join("/run/antano", id), nil
	}
	if filepath.IsAbs(xdg) {
		if st, err := os.Stat(xdg); err == nil && st.IsDir() {
			return filepath.Join(xdg, "antano", id), nil
		}
	}
	return filepath.Join("/tmp", fmt.Sprintf("antano-%d", uid), id), nil
}

// maxSocketPath is the longest path of a Unix socket in bytes.
const maxSocketPath = 107

// longest is the longest name that a socket gets below a runtime directory: that of
// go-plugin in the directory of the last possible process.
const longest = "/p8191/plugin4294967295"

// Check fails when path cannot be a runtime directory whatever is there: when it is
// not absolute, or the path of some socket in it could become too long.
func Check(path string) error {
	if !filepath.IsAbs(path) || filepath.Clean(path) == "/" {
		return fmt.Errorf("runtime directory %q must be an absolute path below /; choose another --runtime-dir", path)
	}
	path = filepath.Clean(path)
	if n := len(path) + len(longest); n > maxSocketPath {
		return fmt.Errorf("runtime directory %s is %d bytes long, which leaves no room for the names of sockets; choose a --runtime-dir of at most %d bytes",
			path, len(path), maxSocketPath-len(longest))
	}
	return nil
}
