package serve

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// fifoOf opens a FIFO as a plugin has it, and a reader of it.
func fifoOf(t *testing.T) (out, in *os.File) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "stderr")
	if err := unix.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { out.Close() })
	if in, err = os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { in.Close() })
	in.SetDeadline(time.Now().Add(10 * time.Second))
	return out, in
}

// TestLogIsNotRead writes a log that nobody reads: no write waits. What fits comes
// whole and in order when it is read, and then how much is missing.
func TestLogIsNotRead(t *testing.T) {
	out, in := fifoOf(t)
	w, closeLog := newLogWriter(out)
	if _, ok := w.(*logWriter); !ok {
		t.Fatal("a FIFO is written to as is")
	}
	const lines = 10_000
	pad := strings.Repeat("x", 100)
	for i := range lines {
		if _, err := fmt.Fprintf(w, "line %d %s\n", i, pad); err != nil {
			t.Fatal(err)
		}
	}
	s := bufio.NewScanner(in)
	next, dropped := 0, 0
	for dropped == 0 && s.Scan() {
		if _, after, ok := strings.Cut(s.Text(), `"msg":"`); ok {
			if _, err := fmt.Sscanf(after, "%d lines of the log were dropped", &dropped); err != nil {
				t.Fatal(s.Text())
			}
		} else if s.Text() != fmt.Sprintf("line %d %s", next, pad) {
			t.Fatalf("line %d is %q", next, s.Text())
		} else {
			next++
		}
	}
	if next*106 < maxUnread || next+dropped != lines {
		t.Errorf("%d lines came, %d were dropped, of %d", next, dropped, lines)
	}
	fmt.Fprintln(w, "after")
	if !s.Scan() || s.Text() != "after" {
		t.Errorf("%q, %v", s.Text(), s.Err())
	}
	closeLog(time.Second)
	if _, err := w.Write([]byte("late\n")); err == nil {
		t.Error("written after the end")
	}
}

// TestLogEnds closes one that nobody reads, and one that is read late; a line longer
// than the FIFO comes whole.
func TestLogEnds(t *testing.T) {
	out, in := fifoOf(t)
	w, closeLog := newLogWriter(out)
	long := append(bytes.Repeat([]byte("y"), 200_000), '\n')
	w.Write(long)
	began := time.Now()
	closeLog(10 * time.Millisecond)
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("the end took %s", took)
	}
	out, in = fifoOf(t)
	w, closeLog = newLogWriter(out)
	w.Write(long)
	read := make(chan string)
	go func() {
		line, _ := bufio.NewReader(in).ReadString('\n')
		read <- line
	}()
	closeLog(10 * time.Second)
	if got := <-read; got != string(long) {
		t.Errorf("%d bytes came", len(got))
	}
}

// TestLogToAFile is that of a plugin that something else than the manager started.
func TestLogToAFile(t *testing.T) {
	f, err := os.Create(filepath.Join(t.TempDir(), "log"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if w, _ := newLogWriter(f); w != f {
		t.Error("a file is no FIFO")
	}
}
