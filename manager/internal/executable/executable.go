// Package executable says why a file cannot be executed, before the kernel says less. It
// is a leaf: any package of the manager may import it.
package executable

import (
	"fmt"
	"io/fs"
	"syscall"
)

// Check says what about its kind or its mode would keep the kernel from executing the
// file at path, nil if nothing does.
func Check(path string, info fs.FileInfo) error {
	switch {
	case info.IsDir():
		return fmt.Errorf("%s is a directory, a plugin is an executable file", path)
	case !info.Mode().IsRegular():
		return fmt.Errorf("%s is not a regular file (%v)", path, info.Mode())
	case info.Mode().Perm()&0o111 == 0:
		return fmt.Errorf("%s is not executable (%s); chmod +x it", path, Access(info))
	}
	return nil
}

// Access is the mode and the owner of a file, for an error.
func Access(info fs.FileInfo) string {
	owner := "unknown owner"
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		owner = fmt.Sprintf("owner %d:%d", st.Uid, st.Gid)
	}
	return fmt.Sprintf("mode %04o, %s", info.Mode().Perm(), owner)
}
