package load

import (
	"fmt"
	"syscall"
)

// spare is what a program needs beside its clients.
const spare = 200

// Descriptors makes sure that this program, and what it starts from now on, may have n
// connections open, and raises its limits for that where it is allowed to.
func Descriptors(n int) error {
	var now syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &now); err != nil {
		return err
	}
	want := uint64(n + spare)
	if now.Cur >= want {
		return nil
	}
	raised := syscall.Rlimit{Cur: want, Max: max(now.Max, want)}
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &raised); err != nil {
		return fmt.Errorf("%d connections need %d descriptors, and the hard limit is %d; raise it with 'ulimit -Hn' as root: %w", n, want, now.Max, err)
	}
	return nil
}
