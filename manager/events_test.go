package manager

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hashicorp/go-hclog"

	"github.com/antano/antano/manager/internal/control"
)

// TestSlowFollower has somebody ask for events and not read them while many happen:
// telling them waits for nobody, and the gap that the follower sees is exact.
func TestSlowFollower(t *testing.T) {
	s := &Server{events: newEvents()}
	path := filepath.Join(t.TempDir(), "s")
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- control.Serve(ctx, l, backend{s}) }()
	conn, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprint(conn, "GET /v1/events?since=1 HTTP/1.0\r\n\r\n")
	in := bufio.NewReader(conn)
	if line, err := in.ReadString('\n'); err != nil || !strings.Contains(line, "200") {
		t.Fatalf("answered %q, %v", line, err)
	}
	const many = 50_000
	for i := range many {
		s.emit(Event{Type: eventServer, Message: fmt.Sprint(i)})
	}
	s.emit(Event{Type: eventServer, Message: "last"})
	var at, missed uint64
	for records := bufio.NewScanner(in); records.Scan(); {
		if !strings.HasPrefix(records.Text(), "{") {
			continue // of the header
		}
		var e Event
		if err := json.Unmarshal(records.Bytes(), &e); err != nil {
			t.Fatal(err)
		}
		if e.Type == eventGap {
			at, missed = at+e.Missed, missed+e.Missed
			continue
		}
		if at++; e.Seq != at {
			t.Fatalf("event %d comes where %d is due", e.Seq, at)
		}
		if e.Message == "last" {
			break
		}
	}
	if at != many+1 || missed == 0 {
		t.Errorf("%d events, of which %d missed; want %d and some", at, missed, many+1)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// TestLogbook remembers from the level of the log on, at least information, and takes
// the manager's own tags apart.
func TestLogbook(t *testing.T) {
	for level, want := range map[hclog.Level]string{hclog.Error: "info error", hclog.Debug: "debug info error"} {
		lines := newLogs()
		var out strings.Builder
		log, _ := keepLog(hclog.New(&hclog.LoggerOptions{Level: level, Output: &out}), lines)
		log = log.With("service", "tcp", "process", 3, "err", fmt.Errorf("broken"))
		for _, l := range []hclog.Level{hclog.Trace, hclog.Debug, hclog.Info, hclog.Error} {
			log.Log(l, "text", "generation", 2, "pid", 77, "n", 5)
		}
		got, _ := lines.Since(0).Read(10)
		var levels []string
		for _, l := range got {
			levels = append(levels, l.Level)
			if l.Service != "tcp" || *l.ProcessID != 3 || l.Generation != 2 || l.PID != 77 || l.Message != "text" ||
				l.Source != "manager" || len(l.Fields) != 2 || l.Fields["err"] != "broken" || l.Fields["n"] != "5" {
				t.Errorf("remembered as %+v", l)
			}
		}
		if strings.Join(levels, " ") != want {
			t.Errorf("a log of level %s is remembered as %v, want %s", level, levels, want)
		}
		if logged := strings.Count(out.String(), "text"); logged != strings.Count("debug info error"[strings.Index("debug info error", level.String()):], " ")+1 {
			t.Errorf("at level %s %d lines were logged: %s", level, logged, out.String())
		}
	}
}
