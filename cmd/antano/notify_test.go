package main_test

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestNotify is systemd: it is told of every state in order, and of signs of life.
func TestNotify(t *testing.T) {
	s := newServer(t, "active_service:\n  - {id: 1, service_type: tcp, port: 0, host: 127.0.0.1, processes: 1}\n")
	path := filepath.Join(s.dir, "notify")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	s.cmd.Env = append(os.Environ(), "NOTIFY_SOCKET="+path, "WATCHDOG_USEC=400000")
	s.start()
	// told returns the next message that has the line, and fails on a line of unwanted.
	told := func(line string, unwanted ...string) string {
		t.Helper()
		buf := make([]byte, 4096)
		for {
			_ = conn.SetReadDeadline(time.Now().Add(patience))
			n, err := conn.Read(buf)
			if err != nil {
				t.Fatalf("waiting for %s: %v", line, err)
			}
			text := "\n" + string(buf[:n]) + "\n"
			for _, bad := range unwanted {
				if strings.Contains(text, "\n"+bad) {
					t.Fatalf("waiting for %s: %s", line, text)
				}
			}
			if strings.Contains(text, "\n"+line) {
				return text
			}
		}
	}
	if text := told("READY=1", "WATCHDOG=1", "STOPPING=1"); !strings.Contains(text, "\nSTATUS=ready: 2 services, 2 of 2 processes ready, 0 clients\n") {
		t.Errorf("it is ready with %q", text)
	}
	told("WATCHDOG=1", "READY=1", "STOPPING=1")
	if err := s.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	if text := told("RELOADING=1", "READY=1", "STOPPING=1"); !strings.Contains(text, "\nMONOTONIC_USEC=") {
		t.Errorf("it reloads with %q", text)
	}
	told("READY=1", "RELOADING=1", "STOPPING=1")
	told("WATCHDOG=1", "READY=1", "STOPPING=1")
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	told("STOPPING=1", "READY=1")
}
