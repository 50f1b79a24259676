package runtimedir

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"
)

// TestMain lets the test binary be a second manager that holds a directory until
// its stdin ends.
func TestMain(m *testing.M) {
	if path := os.Getenv("RUNTIMEDIR_HOLD"); path != "" {
		_, err := Open(path)
		fmt.Println("held", err)
		_, _ = bufio.NewReader(os.Stdin).ReadString('\n')
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "rd")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

func mustOpen(t *testing.T, path string) *Dir {
	t.Helper()
	d, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d
}

func checkEmpty(t *testing.T, dir string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		t.Errorf("%s is left in %s", e.Name(), dir)
	}
}

func TestOpenAndCloseLeaveNothing(t *testing.T) {
	base := shortDir(t)
	path := filepath.Join(base, "a", "b", "1")
	d := mustOpen(t, path)
	checkMode(t, path, 0o700)
	checkMode(t, filepath.Dir(path), 0o711)
	p7, err := d.MakeProcess(7, 0, os.Getuid(), os.Getgid())
	if err != nil || p7 != filepath.Join(path, "p7") {
		t.Fatal(p7, err)
	}
	if err := os.WriteFile(filepath.Join(p7, "x"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := d.MakeProcess(7, 0, os.Getuid(), os.Getgid()); err != nil {
		t.Fatal(err)
	}
	checkEmpty(t, p7)
	if err := d.RemoveProcess(7, 0); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(p7); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("p7 is left: %v", err)
	}
	if p8, err := d.MakeProcess(8, 1, os.Getuid(), os.Getgid()); err != nil || p8 != filepath.Join(path, "q8") {
		t.Fatal(p8, err)
	}
	litter(t, path)
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	checkEmpty(t, base)
}

// litter leaves what a killed manager leaves.
func litter(t *testing.T, path string) {
	t.Helper()
	ln, err := net.ListenUnix("unix", &net.UnixAddr{Name: filepath.Join(path, Control), Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	ln.SetUnlinkOnClose(false)
	ln.Close()
	if err := unix.Mkfifo(filepath.Join(path, "out"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(path, "p1", "deep"), 0o700); err != nil {
		t.Fatal(err)
	}
}

func TestSecondManagerIsRefusedAndSuccessorClears(t *testing.T) {
	base := shortDir(t)
	path := filepath.Join(base, "1")
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "RUNTIMEDIR_HOLD="+path)
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer stdin.Close()
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Process.Kill()
	if line, err := bufio.NewReader(stdout).ReadString('\n'); line != "held <nil>\n" {
		t.Fatalf("%q %v", line, err)
	}
	litter(t, path)

	_, err = Open(path)
	var running *RunningError
	if !errors.As(err, &running) || running.PID != cmd.Process.Pid {
		t.Fatalf("got %v, want pid %d", err, cmd.Process.Pid)
	}
	want := fmt.Sprintf("runtime directory %s is in use by antano with pid %d; stop it or choose", path, cmd.Process.Pid)
	if !strings.HasPrefix(err.Error(), want) {
		t.Errorf("got %v", err)
	}
	if _, err := os.Stat(filepath.Join(path, Control)); err != nil {
		t.Errorf("the refused manager removed a socket: %v", err)
	}

	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	d := mustOpen(t, path)
	entries, err := os.ReadDir(path)
	if err != nil || len(entries) != 1 || entries[0].Name() != lockName {
		t.Errorf("not cleared: %v %v", entries, err)
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	checkEmpty(t, base)
}

// TestOneHolderAtATime lets many managers start and stop at once.
func TestOneHolderAtATime(t *testing.T) {
	base := shortDir(t)
	path := filepath.Join(base, "1")
	var holders sync.Mutex
	count, opened := 0, 0
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 100 {
				d, err := Open(path)
				var running *RunningError
				if errors.As(err, &running) || errors.Is(err, errRetry) {
					continue
				}
				if err != nil {
					t.Error(err)
					return
				}
				holders.Lock()
				if count++; count > 1 {
					t.Error("two hold the lock")
				}
				opened++
				holders.Unlock()
				runtime.Gosched()
				holders.Lock()
				count--
				holders.Unlock()
				if err := d.Close(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	if opened == 0 {
		t.Error("nobody ever held the lock")
	}
	checkEmpty(t, base)
}

func TestFilesOfOthersStay(t *testing.T) {
	path := filepath.Join(shortDir(t), "1")
	d := mustOpen(t, path)
	note := filepath.Join(path, "notes.txt")
	if err := os.WriteFile(note, []byte("keep"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := d.Close(); err == nil || !strings.Contains(err.Error(), `"notes.txt" in it is none of antano's`) {
		t.Errorf("got %v", err)
	}
	if b, err := os.ReadFile(note); err != nil || string(b) != "keep" {
		t.Errorf("%q %v", b, err)
	}
	again := mustOpen(t, path) // it is still ours
	if err := os.Remove(note); err != nil {
		t.Fatal(err)
	}
	if err := again.Close(); err != nil {
		t.Error(err)
	}
}
