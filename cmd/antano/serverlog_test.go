package main

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/hashicorp/go-hclog"

	"github.com/antano/antano/manager"
)

// TestLogFilesOnAFullDisk fills a real file system up: whoever logs is neither held up
// nor failed, and the log goes on when there is room.
func TestLogFilesOnAFullDisk(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=64k"); err != nil {
		t.Skip("only root can make a small file system:", err)
	}
	defer syscall.Unmount(dir, syscall.MNT_DETACH)
	var stderr bytes.Buffer
	log := serverLog{level: "info", format: "text", dir: filepath.Join(dir, "new"), stderr: &stderr}
	logger, err := log.toFiles(&manager.Plan{ServerID: 7})
	if err != nil {
		t.Fatal(err)
	}
	out := log.open[0]
	logger.Info("before")
	pollWritten(t, out)
	ballast := filepath.Join(dir, "ballast")
	if err := os.WriteFile(ballast, make([]byte, 128<<10), 0o600); !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("the file system is not full: %v", err)
	}
	for range 100 {
		logger.Info(strings.Repeat("x", 1000))
	}
	pollWritten(t, out)
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	logger.Info("after")
	log.close()
	text, err := os.ReadFile(filepath.Join(dir, "new", "antano-7.log"))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"antano: before\n", "log records were dropped, because they could not be written", "antano: after\n"} {
		if !strings.Contains(string(text), want) {
			t.Errorf("the log has no %q: %s", want, text)
		}
	}
	if n := strings.Count(stderr.String(), "the log cannot be written"); n != 1 {
		t.Errorf("standard error says so %d times: %s", n, &stderr)
	}
}

// pollWritten waits until nothing waits to be written.
func pollWritten(t *testing.T, l *logWriter) {
	t.Helper()
	for range 2 { // the second batch is taken when the first was written
		_, _ = l.Write(nil)
		for {
			l.mu.Lock()
			empty := len(l.pending) == 0
			l.mu.Unlock()
			if empty {
				break
			}
			<-l.moved
		}
		_, _ = l.Write([]byte("\n"))
	}
}

func TestJournalPrefix(t *testing.T) {
	var out bytes.Buffer
	log := hclog.New(&hclog.LoggerOptions{Name: "antano", Level: hclog.Trace, Output: journaled{&out}, DisableTime: true})
	log.Error("a\nb")
	log.Warn("c")
	log.Info("d", "k", "v")
	log.Debug("e")
	log.Trace("f")
	for line := range strings.Lines(out.String()) {
		if line[0] != '<' || line[2] != '>' {
			t.Errorf("no priority: %q", line)
		}
	}
	for _, want := range []string{"<3>[ERROR] antano: a\n<3>b\n", "<4>[WARN]  antano: c\n", "<6>[INFO]  antano: d: k=v\n", "<7>[DEBUG] antano: e\n", "<7>[TRACE] antano: f\n"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in %q", want, &out)
		}
	}
}
