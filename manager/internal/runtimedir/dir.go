package runtimedir

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"

	"golang.org/x/sys/unix"
)

// The sockets of a server.
const (
	Control  = "control.sock"
	Relay    = "relay.sock"
	Internal = "internal.sock"
)

// Dir is a runtime directory whose lock we hold.
type Dir struct {
	path string
	made []string // the parents that we created, outermost first
	lock *os.File
}

// passable is the mode of a runtime directory in which other users have directories of
// their own.
const passable = 0o711

// openAttempts bounds how often Open starts again because another manager is just
// creating or removing the same directories.
const openAttempts = 20

// Open creates the directory (mode 0700) or checks the one that is there (0711 is left to it), takes its
// lock, and removes what a killed predecessor left. Nothing of it remains when it
// fails. A manager that still runs there is a *RunningError.
func Open(path string) (*Dir, error) { return open(path, os.Getuid()) }

// Lock is Open, but leaves what a killed predecessor left for Clear.
func Lock(path string) (*Dir, error) { return hold(path, os.Getuid()) }

// Inherit makes a Dir of one whose lock this process held before it executed another
// binary. The descriptor is the Dir's from then on.
func Inherit(path string, fd int) (*Dir, error) {
	d := &Dir{path: filepath.Clean(path)}
	var held, there unix.Stat_t
	if err := errors.Join(unix.Fstat(fd, &held), unix.Lstat(filepath.Join(d.path, lockName), &there)); err != nil {
		return nil, fmt.Errorf("inherit runtime directory %s: %w", path, err)
	}
	if held.Dev != there.Dev || held.Ino != there.Ino {
		return nil, fmt.Errorf("inherit runtime directory %s: descriptor %d is not its lock", path, fd)
	}
	if _, err := unix.FcntlInt(uintptr(fd), unix.F_SETFD, unix.FD_CLOEXEC); err != nil {
		return nil, fmt.Errorf("inherit runtime directory %s: %w", path, err)
	}
	d.lock = os.NewFile(uintptr(fd), lockName)
	return d, nil
}

// LockFD is the descriptor of the lock, for Inherit.
func (d *Dir) LockFD() int { return int(d.lock.Fd()) }

func open(path string, uid int) (*Dir, error) {
	d, err := hold(path, uid)
	if err != nil {
		return nil, err
	}
	if err := d.Clear(nil); err != nil {
		d.undo(false)
		return nil, err
	}
	return d, nil
}

func hold(path string, uid int) (*Dir, error) {
	if err := Check(path); err != nil {
		return nil, err
	}
	path = filepath.Clean(path)
	var d *Dir
	err := errRetry
	for i := 0; i < openAttempts && (errors.Is(err, errRetry) || errors.Is(err, fs.ErrNotExist)); i++ {
		d, err = openOnce(path, uid) // not there: taken away between two steps
	}
	return d, err
}

func openOnce(path string, uid int) (d *Dir, err error) {
	d = &Dir{path: path}
	var own bool
	defer func() {
		if err != nil {
			d.undo(own)
			d = nil
		}
	}()
	if d.made, err = makeParents(filepath.Dir(path), uid); err != nil {
		return d, err
	}
	switch err := os.Mkdir(path, 0o700); {
	case err == nil:
		own = true
	case errors.Is(err, fs.ErrNotExist):
		return d, errRetry
	case !errors.Is(err, fs.ErrExist):
		return d, fmt.Errorf("make runtime directory %s: %w", path, err)
	}
	if err := private(path, uid); err != nil {
		return d, err
	}
	if err := d.checkOurs(); err != nil {
		return d, err
	}
	if d.lock, err = lock(path, uid); err != nil {
		return d, err
	}
	return d, nil
}

// undo takes back what a failed openOnce did. Directories go only when empty.
func (d *Dir) undo(own bool) {
	if d.lock != nil {
		if own {
			_ = os.Remove(filepath.Join(d.path, lockName))
		}
		_ = d.lock.Close()
	}
	if own {
		_ = os.Remove(d.path)
	}
	d.removeMade()
}

// checkOurs refuses a directory that holds something but was never a runtime
// directory, so that a mistaken --runtime-dir costs nobody a file.
func (d *Dir) checkOurs() error {
	entries, err := os.ReadDir(d.path)
	if err != nil {
		return fmt.Errorf("read runtime directory %s: %w", d.path, err)
	}
	for _, e := range entries {
		if e.Name() == lockName {
			return nil
		}
	}
	if len(entries) > 0 {
		return fmt.Errorf("runtime directory %s holds %q and is none of antano's; choose an empty or a new --runtime-dir", d.path, entries[0].Name())
	}
	return nil
}

var processName = regexp.MustCompile(`^[pq][0-9]{1,4}$`)

// Reserved reports whether a file of that name in a runtime directory is ours, so that
// no service may listen there.
func Reserved(name string) bool {
	switch name {
	case Control, Relay, Internal, lockName, stateName, stateName + nextSuffix:
		return true
	}
	return processName.MatchString(name)
}

// Clear removes the sockets, FIFOs and directories of processes whose names keep, which
// may be nil, does not hold, and leaves what somebody else put here.
func (d *Dir) Clear(keep map[string]bool) error {
	entries, err := os.ReadDir(d.path)
	if err != nil {
		return fmt.Errorf("read runtime directory %s: %w", d.path, err)
	}
	for _, e := range entries {
		file := filepath.Join(d.path, e.Name())
		switch {
		case keep[e.Name()]:
		case e.IsDir() && processName.MatchString(e.Name()):
			err = os.RemoveAll(file)
		case e.Type()&(fs.ModeSocket|fs.ModeNamedPipe) != 0:
			err = os.Remove(file)
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("clear runtime directory %s: %w", d.path, err)
		}
	}
	return nil
}

// Path is the directory.
func (d *Dir) Path() string { return d.path }

// Socket is the path of one of the server's sockets: Control, Relay, Internal.
func (d *Dir) Socket(name string) string { return filepath.Join(d.path, name) }

// Mode is that of one of the server's sockets: processes of other users, once there are
// any, reach the relay, at which who connects is asked for proof.
func (d *Dir) Mode(name string) uint32 {
	if st, err := os.Stat(d.path); err == nil && name == Relay && st.Mode().Perm() == passable {
		return 0o666
	}
	return 0o600
}

// MakeProcess makes the directory of one generation of a process anew, empty, with mode
// 0700 and for the given user. There are two, 0 and 1, for two generations at a time.
// For another user than ours the runtime directory gets mode 0711 and keeps it, and the
// relay socket the Mode that goes with it.
func (d *Dir) MakeProcess(id, which, uid, gid int) (string, error) {
	path := d.process(id, which)
	if err := os.RemoveAll(path); err != nil {
		return "", fmt.Errorf("clear the directory of process %d: %w", id, err)
	}
	if err := os.Mkdir(path, 0o700); err != nil {
		return "", fmt.Errorf("make the directory of process %d: %w", id, err)
	}
	if uid == os.Getuid() {
		return path, nil
	}
	err := os.Lchown(path, uid, gid)
	if err == nil {
		err = os.Chmod(d.path, passable)
	}
	if err == nil {
		if err = os.Chmod(d.Socket(Relay), os.FileMode(d.Mode(Relay))); errors.Is(err, fs.ErrNotExist) {
			err = nil
		}
	}
	if err != nil {
		_ = os.Remove(path)
		return "", fmt.Errorf("make the directory of process %d usable for user %d: %w", id, uid, err)
	}
	return path, nil
}

// Process is the path of what MakeProcess makes.
func (d *Dir) Process(id, which int) string { return d.process(id, which) }

// RemoveProcess removes a directory of MakeProcess and what is in it.
func (d *Dir) RemoveProcess(id, which int) error { return os.RemoveAll(d.process(id, which)) }

func (d *Dir) process(id, which int) string {
	return filepath.Join(d.path, [...]string{"p", "q"}[which]+strconv.Itoa(id))
}

// Close empties and removes the directory, and parents that Open made if they are
// empty, and then lets go of the lock. Files of others stay, with the lock's file as
// the mark that the directory is ours, and are an error that names one of them.
func (d *Dir) Close() error {
	if d.lock == nil {
		return nil
	}
	err := errors.Join(d.Clear(nil), d.RemoveState())
	if err == nil {
		err = d.leftover()
	}
	if err == nil {
		err = os.Remove(filepath.Join(d.path, lockName))
		// A successor may have made its lock in here already: then the directory is
		// its own, and stays.
		_ = os.Remove(d.path)
		d.removeMade()
	}
	_ = d.lock.Close()
	d.lock = nil
	return err
}

// leftover names what is in the directory besides the lock.
func (d *Dir) leftover() error {
	entries, err := os.ReadDir(d.path)
	if err != nil {
		return fmt.Errorf("read runtime directory %s: %w", d.path, err)
	}
	for _, e := range entries {
		if e.Name() != lockName {
			return fmt.Errorf("runtime directory %s is not removed: %q in it is none of antano's", d.path, e.Name())
		}
	}
	return nil
}

func (d *Dir) removeMade() {
	for i := len(d.made) - 1; i >= 0; i-- {
		if os.Remove(d.made[i]) != nil {
			return
		}
	}
}
