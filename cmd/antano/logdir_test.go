package main_test

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

const oneProcess = "active_service:\n  - {id: 1, service_type: tcp, port: 0, host: 127.0.0.1, processes: 1}\n"

// TestLogDir keeps the log in files: where params say, or where the flag does.
func TestLogDir(t *testing.T) {
	for _, flag := range []bool{false, true} {
		s := newServer(t, oneProcess+"log_dir: RUNTIME.log\n", "--log-format", "json")
		dir := s.runtimeDir() + ".log"
		if flag {
			dir = filepath.Join(s.dir, "other", "place")
			s.cmd.Args = append(s.cmd.Args, "--log-dir", dir)
		}
		s.start()
		s.stop()
		text, err := os.ReadFile(filepath.Join(dir, "antano-1.log"))
		if err != nil || !strings.Contains(string(text), `"@message":"process ready"`) {
			t.Errorf("the log has %q, %v", text, err)
		}
		if said := s.stderr.String(); said != "" {
			t.Errorf("standard error has %q", said)
		}
		entries, err := os.ReadDir(s.runtimeDir() + ".log")
		if flag == (err == nil) {
			t.Errorf("in log_dir are %v, %v", entries, err)
		}
	}
	s := newServer(t, oneProcess, "--log-dir", "/dev/null/x")
	if err := s.Start(t.Context()); err == nil || !strings.Contains(s.stderr.String(), "change --log-dir or log_dir") {
		t.Errorf("%v: %s", err, s.stderr)
	}
}

// TestJournal is journald: it reads standard error, and gets priorities and no times.
func TestJournal(t *testing.T) {
	s := newServer(t, oneProcess)
	pair, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	var st syscall.Stat_t
	if err := syscall.Fstat(pair[1], &st); err != nil {
		t.Fatal(err)
	}
	ours, theirs := os.NewFile(uintptr(pair[0]), "journal"), os.NewFile(uintptr(pair[1]), "stderr")
	defer ours.Close()
	s.cmd.Stderr = theirs
	s.cmd.Env = append(os.Environ(), fmt.Sprintf("JOURNAL_STREAM=%d:%d", st.Dev, st.Ino))
	s.start()
	theirs.Close()
	s.stop()
	text, err := io.ReadAll(ours)
	if err != nil {
		t.Fatal(err)
	}
	wantIn(t, string(text), "<6>[INFO]  antano: process ready: ", "<7>[DEBUG] antano: ")
	for line := range strings.Lines(string(text)) {
		if len(line) < 3 || line[0] != '<' || line[2] != '>' {
			t.Errorf("no priority: %q", line)
		}
	}
}
