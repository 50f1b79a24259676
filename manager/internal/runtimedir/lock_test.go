package runtimedir

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// TestRefusedLockIsClosed keeps no descriptor of a lock that somebody else holds: it
// would hold the lock itself once that one lets go.
func TestRefusedLockIsClosed(t *testing.T) {
	dir := t.TempDir()
	held, err := lock(dir, os.Getuid())
	if err != nil {
		t.Fatal(err)
	}
	defer held.Close()
	if _, err := lock(dir, os.Getuid()); !errors.As(err, new(*RunningError)) {
		t.Fatalf("got %v", err)
	}
	open := 0
	links, _ := filepath.Glob("/proc/self/fd/*")
	for _, link := range links {
		if to, err := os.Readlink(link); err == nil && to == filepath.Join(dir, lockName) {
			open++
		}
	}
	if open != 1 {
		t.Errorf("the lock is open %d times", open)
	}
}
