package runtimedir

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// maxLinks bounds how many symbolic links a path may lead through.
const maxLinks = 40

// makeParents walks to dir from the root, checks that nobody but root and uid can
// put something else in its place, and creates what is missing with mode 0711. It
// returns what it created, outermost first, also with an error.
func makeParents(dir string, uid int) (made []string, err error) {
	rest := strings.Split(strings.TrimPrefix(dir, "/"), "/")
	at := "/"
	for links := 0; len(rest) > 0; {
		name := rest[0]
		rest = rest[1:]
		if name == "" || name == "." {
			continue
		}
		if name == ".." {
			at = filepath.Dir(at)
			continue
		}
		next := filepath.Join(at, name)
		st, err := os.Lstat(next)
		if errors.Is(err, fs.ErrNotExist) {
			err = os.Mkdir(next, passable)
			if err == nil {
				made = append(made, next)
			} else if errors.Is(err, fs.ErrExist) {
				err = errRetry
			}
			if err != nil {
				return made, fmt.Errorf("make directory %s: %w", next, err)
			}
			at = next
			continue
		}
		if err != nil {
			return made, fmt.Errorf("look at %s: %w", next, err)
		}
		if err := trusted(next, st, uid); err != nil {
			return made, err
		}
		if st.Mode()&fs.ModeSymlink == 0 {
			at = next
			continue
		}
		target, err := os.Readlink(next)
		if err != nil {
			return made, fmt.Errorf("look at %s: %w", next, err)
		}
		if links++; links > maxLinks {
			return made, fmt.Errorf("runtime directory %s: too many symbolic links", dir)
		}
		if filepath.IsAbs(target) {
			at = "/"
		}
		rest = append(strings.Split(target, "/"), rest...)
	}
	return made, nil
}

// trusted checks one component above the runtime directory. Root follows whom it
// was told to, except through a link that somebody else placed.
func trusted(path string, st fs.FileInfo, uid int) error {
	own := owner(st)
	switch {
	case st.Mode()&fs.ModeSymlink != 0:
		if own != 0 && own != uid {
			return fmt.Errorf("%s is a symbolic link of user %d; remove it or choose another --runtime-dir", path, own)
		}
	case !st.IsDir():
		return fmt.Errorf("%s is not a directory; remove it or choose another --runtime-dir", path)
	case own != 0 && own != uid && uid != 0:
		return fmt.Errorf("directory %s belongs to user %d; choose another --runtime-dir", path, own)
	case st.Mode().Perm()&0o002 != 0 && st.Mode()&fs.ModeSticky == 0:
		return fmt.Errorf("directory %s can be written by everybody; change its mode or choose another --runtime-dir", path)
	}
	return nil
}

// private checks the runtime directory itself and narrows its mode to 0700, but for 0711.
func private(path string, uid int) error {
	st, err := os.Lstat(path)
	if err != nil {
		return fmt.Errorf("look at runtime directory %s: %w", path, err)
	}
	switch perm := st.Mode().Perm(); {
	case st.Mode()&fs.ModeSymlink != 0:
		return fmt.Errorf("runtime directory %s is a symbolic link; name the directory that it points to", path)
	case !st.IsDir():
		return fmt.Errorf("runtime directory %s is not a directory; remove it or choose another --runtime-dir", path)
	case owner(st) != uid:
		return fmt.Errorf("runtime directory %s belongs to user %d, not to user %d; choose another --runtime-dir", path, owner(st), uid)
	case perm&0o022 != 0:
		return fmt.Errorf("runtime directory %s has mode %#o, so others can write there; chmod it to 0700 or choose another --runtime-dir", path, perm)
	case perm != 0o700 && perm != passable:
		if err := os.Chmod(path, 0o700); err != nil {
			return fmt.Errorf("make runtime directory %s private: %w", path, err)
		}
	}
	return nil
}

func owner(st fs.FileInfo) int { return int(st.Sys().(*syscall.Stat_t).Uid) }
