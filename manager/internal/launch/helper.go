package launch

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// helperName is argv[0] of the manager's own binary between fork and exec of a plugin
// whose limits or umask differ: only the process itself can change those, and Go cannot
// run code there. See docs/decisions/0011-between-fork-and-exec.md.
const helperName = "antano-launch-helper"

// helperTimeout bounds the helper, which has nothing to wait for.
const helperTimeout = 10 * time.Second

// order is what the helper is told; numbers are descriptors.
type order struct {
	Execution
	Path    string // to execute
	Argv0   string
	Fault   int // where to say what went wrong; closed by a successful exec
	Inherit int // how many descriptors from 0 on the plugin has
}

// fault is what the helper could not do.
type fault struct {
	Step  string
	Errno syscall.Errno
}

// Help does what a process between fork and exec does, when the program was started
// for that, and then never returns. A program that calls Start must call it first of
// all.
func Help() {
	if len(os.Args) != 2 || os.Args[0] != helperName {
		return
	}
	var o order
	if err := json.Unmarshal([]byte(os.Args[1]), &o); err != nil {
		os.Exit(127)
	}
	step, err := o.carryOut()
	f := fault{Step: step}
	if !errors.As(err, &f.Errno) {
		f.Errno = unix.EINVAL
	}
	text, _ := json.Marshal(f)
	_, _ = unix.Write(o.Fault, text)
	os.Exit(127)
}

// carryOut returns only with an error.
func (o *order) carryOut() (step string, err error) {
	for name, limit := range o.Rlimits {
		if err := syscall.Setrlimit(resources[name], &syscall.Rlimit{Cur: limit.Soft, Max: limit.Hard}); err != nil {
			return fmt.Sprintf("set rlimit %s to %s:%s; raise the limit of antano itself or lower it", name, shown(limit.Soft), shown(limit.Hard)), err
		}
	}
	if o.Umask != nil {
		syscall.Umask(int(*o.Umask))
	}
	if as := o.As; as != nil {
		groups := make([]int, len(as.Groups))
		for i, g := range as.Groups {
			groups[i] = int(g)
		}
		step = fmt.Sprintf("become uid %d, gid %d", as.UID, as.GID)
		if err := syscall.Setgroups(groups); err != nil {
			return step, err
		}
		if err := syscall.Setgid(int(as.GID)); err != nil {
			return step, err
		}
		if err := syscall.Setuid(int(as.UID)); err != nil {
			return step, err
		}
	}
	if o.WorkingDir != "" {
		if err := syscall.Chdir(o.WorkingDir); err != nil {
			return "enter working directory " + o.WorkingDir + "; create it or change working_dir", err
		}
	}
	for fd := o.Inherit; fd <= o.Fault; fd++ {
		syscall.CloseOnExec(fd)
	}
	return "", syscall.Exec(o.Path, []string{o.Argv0}, os.Environ())
}

func shown(limit uint64) string {
	if limit == unix.RLIM_INFINITY {
		return "unlimited"
	}
	return strconv.FormatUint(limit, 10)
}

// forkHelper forks the helper, which becomes the plugin: files are those of the plugin,
// then what path leads through. When it fails nothing is left of it.
func forkHelper(spec *Spec, path string, env []string, files []uintptr, inherit int, pidfd *int) (pid int, err error) {
	read, write, err := os.Pipe()
	if err != nil {
		return 0, err
	}
	defer read.Close()
	defer write.Close()
	conn, err := write.SyscallConn()
	if err != nil {
		return 0, err
	}
	o := order{Execution: spec.Execution, Path: path, Argv0: spec.Path, Fault: len(files), Inherit: inherit}
	text, err := json.Marshal(o)
	if err != nil {
		return 0, err
	}
	cerr := conn.Control(func(fd uintptr) {
		pid, err = syscall.ForkExec("/proc/self/exe", []string{helperName, string(text)}, &syscall.ProcAttr{
			Env: env, Files: append(files, fd), Sys: &syscall.SysProcAttr{Setpgid: true, PidFD: pidfd},
		})
	})
	if err = errors.Join(cerr, err); err != nil {
		return 0, fmt.Errorf("start the launch helper: %w", err)
	}
	write.Close()
	if err := outcome(read); err != nil {
		if *pidfd >= 0 {
			unix.Close(*pidfd)
			*pidfd = -1
		}
		_ = unix.Kill(-pid, unix.SIGKILL)
		for errors.Is(reap(pid), unix.EINTR) {
		}
		return 0, err
	}
	return pid, nil
}

func reap(pid int) error {
	_, err := unix.Wait4(pid, nil, 0, nil)
	return err
}

// outcome waits until the helper has become the plugin, or said why not.
func outcome(read *os.File) error {
	if err := read.SetReadDeadline(time.Now().Add(helperTimeout)); err != nil {
		return err
	}
	text, err := io.ReadAll(io.LimitReader(read, 4096))
	if err != nil {
		return fmt.Errorf("wait for the launch helper: %w", err)
	}
	if len(text) == 0 {
		return nil
	}
	var f fault
	if err := json.Unmarshal(text, &f); err != nil {
		return fmt.Errorf("the launch helper said %s", quote(string(text)))
	}
	if f.Step == "" {
		return f.Errno // of the exec
	}
	return fmt.Errorf("%s: %w", f.Step, f.Errno)
}
