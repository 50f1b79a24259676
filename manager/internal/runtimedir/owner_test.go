package runtimedir

import (
	"os"
	"path/filepath"
	"testing"
)

// TestProcessOfAnotherUser opens the way to the process's own directory and to the
// relay, and to nothing else, and a successor leaves it open.
func TestProcessOfAnotherUser(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root can give directories away")
	}
	path := filepath.Join(shortDir(t), "a", "b")
	d := mustOpen(t, path)
	for _, name := range []string{Relay, Control} {
		if err := os.WriteFile(d.Socket(name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
		defer os.Remove(d.Socket(name))
	}
	own, err := d.MakeProcess(1, 0, os.Getuid(), os.Getgid())
	if err != nil {
		t.Fatal(err)
	}
	checkMode(t, path, 0o700)
	other, err := d.MakeProcess(2, 0, 4294960001, 4294960002)
	if err != nil {
		t.Fatal(err)
	}
	if st, err := os.Stat(other); err != nil || owner(st) != 4294960001 {
		t.Errorf("%s is not the user's: %v", other, err)
	}
	for file, mode := range map[string]os.FileMode{
		filepath.Dir(path): 0o711, path: 0o711, own: 0o700, other: 0o700, d.Socket(Relay): 0o666, d.Socket(Control): 0o600,
	} {
		checkMode(t, file, mode)
	}
	os.Remove(d.Socket(Relay))
	os.Remove(d.Socket(Control))
	d.lock.Close() // as when the manager was killed
	d, err = Lock(path)
	if err != nil {
		t.Fatal(err)
	}
	checkMode(t, path, 0o711)
	if err := d.Close(); err != nil {
		t.Error(err)
	}
}

func checkMode(t *testing.T, file string, mode os.FileMode) {
	t.Helper()
	if st, err := os.Stat(file); err != nil || st.Mode().Perm() != mode {
		t.Errorf("%s: want mode %#o, got %v, %v", file, mode, st.Mode(), err)
	}
}
