package catalog

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// trusted says who else than root and uid could change what is executed at path, or put
// something else there; nil when nobody can.
func trusted(path string, uid int) error {
	real, err := filepath.EvalSymlinks(path)
	if err != nil {
		return err
	}
	st, err := os.Stat(real)
	if err != nil {
		return err
	}
	switch own := ownerID(st); {
	case st.Mode().Perm()&0o022 != 0:
		return fmt.Errorf("%s can be written by others (mode %04o): chmod go-w it", path, st.Mode().Perm())
	case own != 0 && own != uid:
		return fmt.Errorf("%s belongs to user %d: chown it to root or to user %d, who runs it", path, own, uid)
	}
	if err := trustedDir(filepath.Dir(path), uid); err != nil {
		return err
	}
	return trustedDir(filepath.Dir(real), uid)
}

// trustedDir looks at a directory and at those that it is in. In one with the sticky bit
// others can add names, not change those of ours.
func trustedDir(dir string, uid int) error {
	at, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return err
	}
	for last := true; ; last = false {
		st, err := os.Stat(at)
		if err != nil {
			return err
		}
		open := st.Mode().Perm() & 0o002
		if last {
			open = st.Mode().Perm() & 0o022
		}
		own := ownerID(st)
		switch {
		case open != 0 && st.Mode()&fs.ModeSticky == 0:
			return fmt.Errorf("directory %s can be written by others (mode %04o), who could exchange plugins: chmod go-w it", at, st.Mode().Perm())
		case own != 0 && own != uid && (last || uid != 0): // root follows whom it was told to
			return fmt.Errorf("directory %s belongs to user %d, who could exchange plugins: chown it to root or to user %d", at, own, uid)
		case at == "/":
			return nil
		}
		at = filepath.Dir(at)
	}
}

func ownerID(st fs.FileInfo) int { return int(st.Sys().(*syscall.Stat_t).Uid) }
