package launch

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// Execution says as whom and within what a process runs. The zero value is as the
// manager itself does. Source: docs/operating.md "Processes of other users".
type Execution struct {
	As         *User             `json:"as,omitempty"` // nil: the manager's user, with all its groups
	Umask      *uint32           `json:"umask,omitempty"`
	WorkingDir string            `json:"working_dir,omitempty"`
	Rlimits    map[string]Rlimit `json:"rlimits,omitempty"` // by name, as nofile
	NoNewPrivs bool              `json:"-"`                 // is inherited
}

// User is another user than the manager's; only root can name one.
type User struct {
	UID, GID uint32
	Groups   []uint32 // supplementary ones
}

// Rlimit is a limit of the kernel for one process.
type Rlimit struct{ Soft, Hard uint64 }

var resources = map[string]int{
	"as": unix.RLIMIT_AS, "core": unix.RLIMIT_CORE, "cpu": unix.RLIMIT_CPU, "data": unix.RLIMIT_DATA, "fsize": unix.RLIMIT_FSIZE,
	"memlock": unix.RLIMIT_MEMLOCK, "nofile": unix.RLIMIT_NOFILE, "nproc": unix.RLIMIT_NPROC, "stack": unix.RLIMIT_STACK,
}

func (e *Execution) check() error {
	for name := range e.Rlimits {
		if _, ok := resources[name]; !ok {
			return fmt.Errorf("rlimit %q is not known", name)
		}
	}
	return nil
}

// uid is the user that the process will have.
func (e *Execution) uid() int {
	if e.As != nil {
		return int(e.As.UID)
	}
	return os.Geteuid()
}

// gid is the group that the process will have.
func (e *Execution) gid() int {
	if e.As != nil {
		return int(e.As.GID)
	}
	return os.Getegid()
}

// needsHelper reports whether syscall.ForkExec cannot do it alone.
func (e *Execution) needsHelper() bool { return e.Umask != nil || len(e.Rlimits) > 0 }

func (e *Execution) credential() *syscall.Credential {
	if e.As == nil {
		return nil
	}
	return &syscall.Credential{Uid: e.As.UID, Gid: e.As.GID, Groups: e.As.Groups}
}

// confined calls f in a thread whose children cannot gain privileges, if that is asked
// for: it is a property of the thread, which ends afterwards.
func (e *Execution) confined(f func() error) error {
	if !e.NoNewPrivs {
		return f()
	}
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
		if err != nil {
			err = fmt.Errorf("set no_new_privs: %w", err)
		} else {
			err = f()
		}
		done <- err
	}()
	return <-done
}

// explain says which setting made a fork fail, where the error cannot come from the
// plugin's file.
func (e *Execution) explain(err error) error {
	var st unix.Stat_t
	switch {
	case err == nil:
		return nil
	case e.As != nil && errors.Is(err, unix.EPERM):
		return fmt.Errorf("become uid %d, gid %d: %w", e.As.UID, e.As.GID, err)
	case e.WorkingDir != "" && unix.Stat(e.WorkingDir, &st) != nil:
		return fmt.Errorf("working directory %s cannot be entered; create it or change working_dir: %w", e.WorkingDir, err)
	}
	return err
}

// override appends variables, which replace earlier ones of their name.
func override(env []string, more ...string) []string {
	for _, kv := range more {
		name, _, _ := strings.Cut(kv, "=")
		env = slices.DeleteFunc(env, func(old string) bool { return strings.HasPrefix(old, name+"=") })
		env = append(env, kv)
	}
	return env
}
