package main_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// ownBinary has the server run from a copy of the binary that can be replaced.
func (s *server) ownBinary() string {
	s.t.Helper()
	path := filepath.Join(s.dir, "antano")
	b, err := os.ReadFile(filepath.Join(binDir, "antano"))
	if err == nil {
		err = os.WriteFile(path, b, 0o755)
	}
	if err != nil {
		s.t.Fatal(err)
	}
	s.cmd.Path, s.cmd.Args[0] = path, path
	s.cmd.Args = append(s.cmd.Args, "--plugin-dir", filepath.Join(binDir, "plugins"))
	return path
}

// TestUpgrade executes the binary again under load: every request is answered with a
// receipt, and manager and processes keep their pids. A binary that is none is refused.
func TestUpgrade(t *testing.T) {
	t.Parallel()
	s := newServer(t, lossServices)
	binary := s.ownBinary()
	s.start()
	before, tcp := s.pidsByID(), s.service("t").Address
	a, b := dial(t, "tcp", tcp), dial(t, "tcp", tcp)
	toB := b.whoami()
	stop, done := make(chan struct{}), make(chan int)
	go func() {
		n := 0
		defer func() { done <- n }()
		for ; ; n++ {
			select {
			case <-stop:
				return
			default:
			}
			if _, err := fmt.Fprintf(a.conn, `{"entity":"client","entity_id":%s,"message":%d,"id":%d}`+"\n", toB, n, n); err != nil {
				t.Error(err)
				return
			}
			line, err := a.r.ReadString('\n')
			if err != nil || !strings.Contains(line, `"receipt"`) || !strings.Contains(line, fmt.Sprintf(`"id":%d,`, n)) {
				t.Errorf("request %d: %q, %v", n, line, err)
				return
			}
		}
	}()
	for range 2 {
		if out, errs, code := s.antano("upgrade"); code != 0 {
			t.Fatalf("upgrade: %d\n%s%s", code, out, errs)
		}
	}
	close(stop)
	n := <-done
	for i := range n {
		b.receive().want(t, "message", fmt.Sprint(i))
	}
	t.Logf("%d requests over 2 upgrades", n)
	if after := s.pidsByID(); fmt.Sprint(after) != fmt.Sprint(before) || s.status().PID != s.cmd.Process.Pid {
		t.Errorf("processes %v, were %v; manager %d, was %d", after, before, s.status().PID, s.cmd.Process.Pid)
	}
	if err := os.Rename(binary, binary+".old"); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(binary, []byte("#!/bin/sh\necho I am none >&2\nexit 9\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	if _, errs, code := s.antano("upgrade"); code != 1 || !strings.Contains(errs, "I am none") {
		t.Errorf("a bad binary: %d, %s", code, errs)
	}
	if after := s.pidsByID(); fmt.Sprint(after) != fmt.Sprint(before) {
		t.Errorf("processes %v, were %v", after, before)
	}
}
