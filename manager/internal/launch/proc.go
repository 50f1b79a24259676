package launch

import (
	"fmt"
	"os"
	"strconv"
	"strings"
)

// startTime is when a process started, in clock ticks since the boot: with the pid it
// tells one process from every other of this boot. A zombie has ended.
func startTime(pid int) (uint64, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	// The name of the process, in parentheses, may hold anything.
	_, rest, ok := strings.Cut(string(stat[strings.LastIndexByte(string(stat), ')')+1:]), " ")
	fields := strings.Fields(rest)
	if !ok || len(fields) < 20 {
		return 0, fmt.Errorf("/proc/%d/stat has %d fields", pid, len(fields))
	}
	if fields[0] == "Z" || fields[0] == "X" {
		return 0, fmt.Errorf("process %d: %w", pid, ErrExited)
	}
	return strconv.ParseUint(fields[19], 10, 64)
}

// OwnStartTime is that of this process, 0 when it is not to be had.
func OwnStartTime() uint64 {
	t, _ := startTime(os.Getpid())
	return t
}

// ownerOf is the user that a process runs as.
func ownerOf(pid int) (int, error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	_, rest, _ := strings.Cut(string(status), "\nUid:")
	fields := strings.Fields(rest)
	if len(fields) < 4 {
		return 0, fmt.Errorf("/proc/%d/status has no Uid", pid)
	}
	return strconv.Atoi(fields[1]) // the effective one
}
