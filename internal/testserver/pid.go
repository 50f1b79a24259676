package testserver

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Alive reports whether a process exists and is no zombie.
func Alive(pid int) bool {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	_, rest, _ := strings.Cut(string(b), ") ")
	return !strings.HasPrefix(rest, "Z")
}

// Freeze stops a process with SIGSTOP and returns once all of it stands still.
func Freeze(pid int) error {
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		return err
	}
	return pollUntil(fmt.Sprintf("process %d is stopped", pid), func() bool { return stopped(pid) })
}

func stopped(pid int) bool {
	tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", pid))
	for _, task := range tasks {
		b, e := os.ReadFile(task)
		_, rest, _ := strings.Cut(string(b), ") ")
		if e == nil && !strings.HasPrefix(rest, "T") {
			return false
		}
	}
	return err == nil && len(tasks) > 0
}

// Running returns the pids of living processes whose executable is below dir.
func Running(dir string) (pids []int) {
	links, _ := filepath.Glob("/proc/[0-9]*/exe")
	for _, link := range links {
		exe, err := os.Readlink(link)
		if err != nil || !strings.HasPrefix(exe, dir+"/") {
			continue
		}
		if pid, err := strconv.Atoi(filepath.Base(filepath.Dir(link))); err == nil && Alive(pid) {
			pids = append(pids, pid)
		}
	}
	return pids
}

// pollUntil asks an outside process until ok, for at most Patience.
func pollUntil(what string, ok func() bool) error {
	for deadline := time.Now().Add(Patience); time.Now().Before(deadline); time.Sleep(2 * time.Millisecond) {
		if ok() {
			return nil
		}
	}
	return fmt.Errorf("%s: not within %s", what, Patience)
}
