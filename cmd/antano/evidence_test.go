package main_test

import (
	"encoding/json"
	"io"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/antano/antano/manager"
)

// following is a command that prints records until it is told to end.
type following[T any] struct {
	t       *testing.T
	records chan T
	cmd     *exec.Cmd
	ended   chan error
}

func follow[T any](s *server, args ...string) *following[T] {
	t := s.t
	t.Helper()
	f := &following[T]{t: t, records: make(chan T, 10_000), ended: make(chan error, 1)}
	f.cmd = exec.Command(filepath.Join(binDir, "antano"), append(args, "--runtime-dir", s.RuntimeDir())...)
	out, err := f.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := f.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		for in := json.NewDecoder(out); ; {
			var r T
			if in.Decode(&r) != nil {
				break
			}
			f.records <- r
		}
		close(f.records)
		f.ended <- f.cmd.Wait()
	}()
	t.Cleanup(func() { _ = f.cmd.Process.Kill() })
	return f
}

// until reads to the first record that is as it should be.
func (f *following[T]) until(what string, ok func(T) bool) T {
	f.t.Helper()
	var seen []T
	for timer := time.After(patience); ; {
		select {
		case r, more := <-f.records:
			if !more {
				f.t.Fatalf("%s: ended after %+v", what, seen)
			}
			if ok(r) {
				return r
			}
			seen = append(seen, r)
		case <-timer:
			f.t.Fatalf("no %s in time, but %+v", what, seen)
		}
	}
}

const twoTCP = `
active_service:
  - {id: 2, service_type: tcp, name: tcp, host: 127.0.0.1, port: 0, processes: 2}
  - {id: 3, service_type: udp, name: udp, host: 127.0.0.1, port: 0, processes: 2}
`

// TestEvents follows a process that is killed, with the evidence, and a service apart
// from the others; the stream ends with the server.
func TestEvents(t *testing.T) {
	t.Parallel()
	s := start(t, twoTCP)
	all := follow[manager.Event](s, "events", "--json", "--past")
	one := follow[manager.Event](s, "events", "--json", "--past", "tcp/1")
	all.until("server that is ready", func(e manager.Event) bool { return e.Type == "server" && e.State == "ready" })
	p := s.service("tcp").Processes[0]
	if err := syscall.Kill(p.PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	ended := all.until("end of the process", func(e manager.Event) bool { return e.Exit != nil })
	if ended.Exit.Signal == nil || *ended.Exit.Signal != "SIGKILL" || ended.Exit.PID != p.PID || ended.Exit.Generation != 1 ||
		ended.State != "starting" || ended.Service != "tcp" || *ended.ProcessID != p.ProcessID || *ended.Restarts != 1 {
		t.Errorf("the end is told as %+v, %+v", ended, ended.Exit)
	}
	back := all.until("process that is back", func(e manager.Event) bool { return e.Type == "process" && e.State == "ready" })
	if back.Seq <= ended.Seq || back.Generation != 2 || back.PID == 0 || back.PID == p.PID {
		t.Errorf("its return is told as %+v", back)
	}
	dial(t, "tcp", s.service("tcp").Address).ask(`{"message":1}`).want(t, "code", "no_destination")
	all.until("drops", func(e manager.Event) bool { return e.Type == "drops" && e.Drops["no_destination"] == 1 })
	one.until("process that is back", func(e manager.Event) bool {
		if e.Service != "tcp" || *e.ProcessID != 1 {
			t.Errorf("events of tcp/1 have %+v", e)
		}
		return e.State == "ready" && e.Generation == 2
	})
	s.stop()
	all.until("end of the server", func(e manager.Event) bool { return e.Type == "server" && e.State == "draining" })
	for range all.records {
	}
	if err := <-all.ended; err != nil {
		t.Errorf("the command ended with %v", err)
	}
}

// TestEventsOfSlots shows which process reads how many slots.
func TestEventsOfSlots(t *testing.T) {
	t.Parallel()
	s := start(t, twoTCP)
	f := follow[manager.Event](s, "events", "--json", "--past", "udp")
	slots := map[int]int{}
	f.until("slots of both", func(e manager.Event) bool {
		if e.Type == "slots" {
			slots[*e.ProcessID] = *e.Slots
		}
		return len(slots) == 2
	})
	sum := 0
	for _, n := range slots {
		sum += n
	}
	if sum > 64 || sum < 32 { // a first one may have had all of them for a moment
		t.Errorf("slots are %v", slots)
	}
}

// TestWhy asks after a process that was killed, one that is frozen, and one that does
// not exist.
func TestWhy(t *testing.T) {
	t.Parallel()
	s := start(t, twoTCP+"health: {interval: 100ms, timeout: 100ms, misses: 100}\n")
	ask := func(target string) []manager.Why {
		t.Helper()
		out, errs, code := s.antano("why", "--json", target)
		var why []manager.Why
		if err := json.Unmarshal([]byte(out), &why); err != nil || code != 0 {
			t.Fatalf("exit %d: %s%s", code, out, errs)
		}
		return why
	}
	if why := ask("2"); len(why) != 2 || len(why[0].Exits) != 0 || why[0].Backoff != nil || why[0].Advice != "nothing to do: it has never ended" {
		t.Errorf("before anything happened: %+v", why)
	}
	p := s.service("tcp").Processes[1]
	if err := syscall.Kill(p.PID, syscall.SIGSEGV); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it is back", func() bool { q := s.service("tcp").Processes[1]; return q.State == "ready" && q.Generation == 2 })
	why := ask("tcp/2")
	if len(why) != 1 || len(why[0].Exits) != 1 || why[0].Exits[0].PID != p.PID || why[0].Backoff == nil || why[0].Backoff.ResetsAt == nil ||
		!strings.Contains(why[0].Backoff.Decision, "at once") {
		t.Errorf("after a crash: %+v", why)
	}
	out, _, _ := s.antano("why", "tcp/2")
	for _, want := range []string{"tcp/2 is ready", "1 restarts", "resets:", "to do:", "SIGSEGV"} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is missing in\n%s", want, out)
		}
	}
	freeze(t, why[0].PID)
	eventually(t, "its health fails", func() bool {
		h := ask("tcp/2")[0].Health
		return h != nil && h.Of == 100 && h.Failing == "no answer within 100ms"
	})
	if err := syscall.Kill(why[0].PID, syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it is healthy again", func() bool { return ask("tcp/2")[0].Health == nil })
	for _, target := range []string{"nope", "tcp/9", "tcp/x"} {
		if _, errs, code := s.antano("why", target); code != 1 || !strings.Contains(errs, "antano status") {
			t.Errorf("why %s: exit %d: %s", target, code, errs)
		}
	}
}

// TestLogs shows what a plugin printed and what the manager says of it, apart from
// others, and goes on with what comes.
func TestLogs(t *testing.T) {
	t.Parallel()
	s := start(t, twoTCP)
	f := follow[manager.LogLine](s, "logs", "-f", "--json", "tcp/1")
	p := s.service("tcp").Processes[0]
	if err := syscall.Kill(p.PID, syscall.SIGABRT); err != nil { // so that Go prints its stacks
		t.Fatal(err)
	}
	last := uint64(0)
	plugin := f.until("stack of the plugin", func(l manager.LogLine) bool {
		if l.Service != "tcp" || *l.ProcessID != 1 || l.Seq <= last || l.Missed != 0 {
			t.Errorf("line %+v after %d", l, last)
		}
		last = l.Seq
		return l.Source == "plugin" && strings.HasPrefix(l.Message, "goroutine ")
	})
	if plugin.Stream != "stderr" || plugin.PID != p.PID || plugin.Generation != 1 || plugin.Level != "error" {
		t.Errorf("the line is %+v", plugin)
	}
	f.until("word of the manager", func(l manager.LogLine) bool {
		return l.Source == "manager" && l.Message == "process ended" && l.PID == p.PID && strings.Contains(l.Fields["cause"], "SIGABRT")
	})
	eventually(t, "it is back", func() bool { return s.service("tcp").Processes[0].State == "ready" })
	out, errs, code := s.antano("logs", "tcp/1")
	if code != 0 || !strings.Contains(out, "tcp/1") || !strings.Contains(out, "goroutine ") || strings.Contains(out, "udp") {
		t.Errorf("exit %d: %s%s", code, out, errs)
	}
	_ = f.cmd.Process.Signal(syscall.SIGINT)
	for range f.records {
	}
	if err := <-f.ended; err != nil {
		t.Errorf("told to end it ended with %v", err)
	}
}

// TestKick ends a stream and a datagram source wherever they are, and nobody else.
func TestKick(t *testing.T) {
	t.Parallel()
	s := start(t, twoTCP)
	victim, witness := dial(t, "tcp", s.service("tcp").Address), dial(t, "tcp", s.service("tcp").Address)
	source := dial(t, "udp", s.service("udp").Address)
	ids := []string{victim.whoami(), source.whoami()}
	for _, id := range ids {
		if out, errs, code := s.antano("kick", id); code != 0 || !strings.Contains(out, id) {
			t.Errorf("exit %d: %s%s", code, out, errs)
		}
	}
	if err := victim.conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	if _, err := victim.r.ReadByte(); err != io.EOF {
		t.Errorf("the connection ends with %v, not in good order", err)
	}
	if again := source.whoami(); slices.Contains(ids, again) {
		t.Errorf("the source is still client %s", again)
	}
	witness.ask(`{"type":"ping","id":1}`).want(t, "type", "pong")
	for _, id := range append(ids, "1", "x", "99999999999999999999") {
		if _, errs, code := s.antano("kick", id); code != 1 || !strings.Contains(errs, "antano clients") {
			t.Errorf("kick %s: exit %d: %s", id, code, errs)
		}
	}
}

// TestStatusShowsQueues freezes all processes of a service: what waits for them, in the
// kernel and in the manager, shows in the status.
func TestStatusShowsQueues(t *testing.T) {
	t.Parallel()
	s := start(t, twoTCP)
	address, udp := s.service("tcp").Address, s.service("udp").Address
	to := dial(t, "tcp", address)
	id := to.whoami()
	to.ask(`{"type":"join","entity":"room","entity_id":1}`).want(t, "type", "joined")
	source := dial(t, "udp", udp)
	source.whoami()
	freezeAll := func(service string) {
		for _, p := range s.service(service).Processes {
			freeze(t, p.PID)
			t.Cleanup(func() { _ = syscall.Kill(p.PID, syscall.SIGCONT) }) // or the stop takes its time
		}
	}
	freezeAll("tcp")
	for range 3 {
		dial(t, "tcp", address)
	}
	source.send(`{"entity":"client","entity_id":` + id + `,"message":1}`)
	eventually(t, "everything shows", func() bool {
		svc := s.service("tcp")
		groups, waiting := 0, 0
		for _, p := range svc.Processes {
			groups += p.Groups
			waiting += p.QueuedBytes + p.LinkOutBytes
		}
		q := svc.Sockets
		return len(q) == 1 && q[0].Name == "tcp" && *q[0].AcceptQueue == 3 && *q[0].AcceptLimit == 4096 && groups == 1 && waiting > 0
	})
	if out, _, code := s.antano("status"); code != 0 || !strings.Contains(out, "tcp: 3 connections wait to be accepted") {
		t.Errorf("exit %d: %s", code, out)
	}
	freezeAll("udp")
	source.send("{}")
	eventually(t, "the datagram shows", func() bool {
		q := s.service("udp").Sockets
		return len(q) == 1 && q[0].Name == "slots" && q[0].Sockets == 64 && *q[0].ReceiveQueueBytes > 0 && *q[0].KernelDrops == 0
	})
}
