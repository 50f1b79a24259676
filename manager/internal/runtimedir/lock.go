package runtimedir

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"
)

const lockName = "lock"

// RunningError says that another manager holds the runtime directory.
type RunningError struct {
	Path string
	PID  int // 0 when it has not written its pid yet
}

func (e *RunningError) Error() string {
	who := "another antano"
	if e.PID > 0 {
		who = fmt.Sprintf("antano with pid %d", e.PID)
	}
	return fmt.Sprintf("runtime directory %s is in use by %s; stop it or choose another --runtime-dir or --id", e.Path, who)
}

// errRetry means that a manager that just ended took something away meanwhile.
var errRetry = errors.New("another antano starts or stops here at the same time; try again")

// lock takes the lock of dir and writes our pid into it. The kernel releases it
// when the process ends, however that happens.
func lock(dir string, uid int) (_ *os.File, err error) {
	path := filepath.Join(dir, lockName)
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0o600)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, errRetry
	}
	if err != nil {
		return nil, fmt.Errorf("open lock %s: %w", path, err)
	}
	defer func() {
		if err != nil {
			_ = f.Close()
		}
	}()
	st, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("look at lock %s: %w", path, err)
	}
	if !st.Mode().IsRegular() || owner(st) != uid {
		return nil, fmt.Errorf("lock %s is not a file of ours; remove it or choose another --runtime-dir", path)
	}
	err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		return nil, &RunningError{Path: dir, PID: readPID(f)}
	}
	if err != nil {
		return nil, fmt.Errorf("take lock %s: %w", path, err)
	}
	// Its last holder may have removed the file between our open and our lock.
	if now, err := os.Lstat(path); err != nil || !os.SameFile(st, now) {
		return nil, errRetry
	}
	if err := writePID(f); err != nil {
		_ = os.Remove(path)
		return nil, fmt.Errorf("write lock %s: %w", path, err)
	}
	return f, nil
}

func readPID(f *os.File) int {
	buf := make([]byte, 32)
	n, _ := f.ReadAt(buf, 0)
	pid, err := strconv.Atoi(string(bytes.TrimSpace(buf[:n])))
	if err != nil || pid < 1 {
		return 0
	}
	return pid
}

func writePID(f *os.File) error {
	if err := f.Truncate(0); err != nil {
		return err
	}
	_, err := f.WriteAt(fmt.Appendln(nil, os.Getpid()), 0)
	return err
}
