// Package account finds the users and groups that params name, and says what they may
// do with files. It asks the system's user database and changes nothing.
package account

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// Account is as whom a process can run.
type Account struct {
	UID, GID   uint32
	Groups     []uint32 // supplementary ones, GID not among them
	Name, Home string   // empty for an id that the database does not have
}

// Lookup finds a user by name or id, and a group, which is the user's own when it is
// empty. It may block as long as the user database takes.
func Lookup(name, group string) (Account, error) {
	var a Account
	u, err := user.Lookup(name)
	if _, unknown := errors.AsType[user.UnknownUserError](err); unknown {
		if id, nerr := strconv.ParseUint(name, 10, 32); nerr == nil {
			a.UID = uint32(id)
			u, err = user.LookupId(name)
			if _, unknown := errors.AsType[user.UnknownUserIdError](err); unknown && group != "" {
				a.GID, err = lookupGroup(group)
				return a, err
			}
		}
	}
	if err != nil {
		return a, fmt.Errorf("user %s is not known; create it, or give the id of a user and a group: %w", name, err)
	}
	a.Name, a.Home = u.Username, u.HomeDir
	if a.UID, err = id(u.Uid); err != nil {
		return a, err
	}
	if a.GID, err = id(u.Gid); err != nil {
		return a, err
	}
	if group != "" {
		if a.GID, err = lookupGroup(group); err != nil {
			return a, err
		}
	}
	ids, err := u.GroupIds()
	if err != nil {
		return a, fmt.Errorf("find the groups of user %s: %w", name, err)
	}
	for _, text := range ids {
		if g, err := id(text); err == nil && g != a.GID {
			a.Groups = append(a.Groups, g)
		}
	}
	return a, nil
}

func lookupGroup(name string) (uint32, error) {
	g, err := user.LookupGroup(name)
	if err == nil {
		return id(g.Gid)
	}
	if n, nerr := strconv.ParseUint(name, 10, 32); nerr == nil {
		return uint32(n), nil // need not have an entry
	}
	return 0, fmt.Errorf("group %s is not known; create it or give its id: %w", name, err)
}

func id(text string) (uint32, error) {
	n, err := strconv.ParseUint(text, 10, 32)
	return uint32(n), err
}

// MayExecute says why the account cannot execute the file at path; nil when its
// permission bits allow it. Directories on the way are not looked at.
func (a Account) MayExecute(path string) error {
	st, err := os.Stat(path)
	if err != nil {
		return err
	}
	if !a.has(st, 0o1) {
		return fmt.Errorf("%s has mode %04o and owner %s, which uid %d may not execute; chmod a+x it or change its owner",
			path, st.Mode().Perm(), owner(st), a.UID)
	}
	return nil
}

// MayEnter says which directory on the way to dir, itself included, the account cannot
// enter; nil when there is none.
func (a Account) MayEnter(dir string) error {
	real, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return err
	}
	for at := "/"; ; {
		st, err := os.Stat(at)
		switch {
		case err != nil:
			return err
		case !st.IsDir():
			return fmt.Errorf("%s is not a directory: %w", at, fs.ErrInvalid)
		case !a.has(st, 0o1):
			return fmt.Errorf("directory %s has mode %04o and owner %s, so uid %d cannot enter it; chmod a+x it or choose another",
				at, st.Mode().Perm(), owner(st), a.UID)
		case at == real:
			return nil
		}
		name, _, _ := strings.Cut(strings.TrimPrefix(strings.TrimPrefix(real, at), "/"), "/")
		at = filepath.Join(at, name)
	}
}

// has reports whether permission bits grant the account one of rwx.
func (a Account) has(st fs.FileInfo, bit fs.FileMode) bool {
	perm, own := st.Mode().Perm(), st.Sys().(*syscall.Stat_t)
	switch {
	case a.UID == 0:
		return st.IsDir() || perm&(bit|bit<<3|bit<<6) != 0
	case own.Uid == a.UID:
		return perm&(bit<<6) != 0
	case own.Gid == a.GID || slices.Contains(a.Groups, own.Gid):
		return perm&(bit<<3) != 0
	}
	return perm&bit != 0
}

func owner(st fs.FileInfo) string {
	own := st.Sys().(*syscall.Stat_t)
	return fmt.Sprintf("%d:%d", own.Uid, own.Gid)
}
