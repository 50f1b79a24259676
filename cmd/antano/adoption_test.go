package main_test

import (
	"net"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestSlotsAreAdopted kills one of two udp processes whose restart hangs: its sibling
// answers all sources long before that start is given up, and again when it failed.
func TestSlotsAreAdopted(t *testing.T) {
	t.Parallel()
	s := start(t, `
service_type: [{id: 101, name: slowback}]
active_service:
  - {id: 1, service_type: slowback, name: udp, host: 127.0.0.1, port: 0, processes: 2}
timeouts: {start: 60s}
`, pluginDirs(t, "slowback")...)
	udp := s.service("udp")
	var sources []net.Conn
	for range 64 {
		c, err := net.Dial("udp", udp.Address)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		sources = append(sources, c)
	}
	eventually(t, "everybody is answered before the kill", func() bool { return answered(t, sources) == len(sources) })
	for _, p := range s.service("udp").Processes {
		if p.MessagesIn == 0 {
			t.Fatalf("process %d has none of 64 sources", p.ProcessID)
		}
	}
	if err := syscall.Kill(udp.Processes[0].PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the sibling answers everybody", func() bool { return answered(t, sources) == len(sources) })
	if p := s.service("udp").Processes[0]; p.State != "starting" {
		t.Errorf("the killed process is %s, the test showed nothing", p.State)
	}
}

// answered pings from every source and counts the pongs of the next moment.
func answered(t *testing.T, sources []net.Conn) (n int) {
	t.Helper()
	for _, c := range sources {
		if _, err := c.Write([]byte(`{"type":"ping"}`)); err != nil {
			t.Fatal(err)
		}
	}
	buf := make([]byte, 1024)
	deadline := time.Now().Add(500 * time.Millisecond)
	for _, c := range sources {
		for { // older pongs may be in the way; each source counts once
			if err := c.SetReadDeadline(deadline); err != nil {
				t.Fatal(err)
			}
			m, err := c.Read(buf)
			if err != nil {
				break
			}
			if strings.Contains(string(buf[:m]), "pong") {
				n++
				break
			}
		}
	}
	return n
}
