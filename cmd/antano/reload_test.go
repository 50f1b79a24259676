package main_test

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/antano/antano/manager"
)

// rewrite puts other params in the place of those that the server was started with.
func (s *server) rewrite(params string) {
	s.t.Helper()
	text := strings.ReplaceAll(params, "RUNTIME", s.runtimeDir())
	if err := os.WriteFile(filepath.Join(s.dir, "params.yaml"), []byte(text), 0o600); err != nil {
		s.t.Fatal(err)
	}
}

// pidsOf are those of a service, by process id.
func (s *server) pidsOf(service string) map[int]int {
	s.t.Helper()
	pids := map[int]int{}
	for id, p := range s.byID(service) {
		pids[id] = p.PID
	}
	return pids
}

func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// TestReload applies the difference only: one service is added, one changed, one
// scaled, one removed, and one stays with its processes and clients.
func TestReload(t *testing.T) {
	t.Parallel()
	const stays = "  - {id: 1, service_type: tcp, name: stays, host: 127.0.0.1, port: 0, processes: 2}\n"
	s := start(t, `
active_service:
`+stays+`  - {id: 2, service_type: tcp, name: changes, host: 127.0.0.1, port: 0, processes: 1}
  - {id: 3, service_type: udp, name: grows, host: 127.0.0.1, port: 0, processes: 1}
  - {id: 4, service_type: tcp, name: goes, host: 127.0.0.1, port: 0, processes: 1}
`)
	c := dial(t, "tcp", s.service("stays").Address)
	id := c.whoami()
	moves := dial(t, "tcp", s.service("changes").Address)
	moved := moves.whoami()
	moves.ask(`{"type":"join","entity":"room","entity_id":1}`).want(t, "type", "joined")
	goes := s.service("goes").Address
	before, changes, grows := s.pidsOf("stays"), s.pidsOf("changes"), s.pidsOf("grows")
	if out := s.must("reload"); !strings.Contains(out, "nothing changes") {
		t.Errorf("the same params: %s", out)
	}
	s.rewrite(`
active_service:
  - {id: 5, service_type: unix, name: comes, socket_type: stream, endpoint: RUNTIME/comes.sock, processes: 1}
` + stays + `  - {id: 2, service_type: tcp, name: changes, host: 127.0.0.1, port: 0, processes: 1, limits: {max_clients: 5}}
  - {id: 3, service_type: udp, name: grows, host: 127.0.0.1, port: 0, processes: 2}
`)
	wants := []string{"service comes: added", "limits.max_clients: 100000 → 5", "service grows: 1 → 2 processes", "service goes: removed"}
	out := s.must("reload", "--dry-run")
	for _, want := range append(wants, "dry run") {
		if !strings.Contains(out, want) {
			t.Errorf("the dry run does not say %q:\n%s", want, out)
		}
	}
	if fmt.Sprint(s.pidsOf("changes")) != fmt.Sprint(changes) || len(s.status().Services) != 5 {
		t.Error("a dry run has changed something")
	}
	out = s.must("reload")
	for _, want := range wants {
		if !strings.Contains(out, want) {
			t.Errorf("the reload does not say %q:\n%s", want, out)
		}
	}
	var names []string
	for _, svc := range s.status().Services {
		names = append(names, svc.Name+" "+svc.State)
	}
	if got := strings.Join(names, ", "); got != "comes ready, stays ready, changes ready, grows ready, internal ready" {
		t.Errorf("services are %s", got)
	}
	if fmt.Sprint(s.pidsOf("stays")) != fmt.Sprint(before) || s.pidsOf("grows")[4] != grows[4] {
		t.Error("a process that was to stay has gone")
	}
	if p := s.byID("changes")[3]; p.PID == changes[3] || p.Generation != 2 {
		t.Errorf("what changed is %+v", p)
	}
	if got := c.whoami(); got != id {
		t.Errorf("the client is %s now, was %s", got, id)
	}
	if got := moves.whoami(); got != moved {
		t.Errorf("the client of what changed is %s now, was %s", got, moved)
	}
	c.send(`{"entity":"room","entity_id":1,"message":"hello"}`)
	moves.receive().want(t, "message", "hello")
	if _, err := net.Dial("tcp", goes); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("dial the service that was removed: %v", err)
	}
	dial(t, "unix", filepath.Join(s.runtimeDir(), "comes.sock")).whoami()
	if out := s.must("reload"); !strings.Contains(out, "nothing changes") {
		t.Errorf("once more: %s", out)
	}
}

// TestReloadIsRefused validates as a whole before anything moves.
func TestReloadIsRefused(t *testing.T) {
	t.Parallel()
	s := start(t, twoServices, pluginDirs(t, "crash", "panicky", "schema")...)
	c := dial(t, "tcp", s.service("chat").Address)
	before := fmt.Sprint(s.pidsOf("chat"), s.pidsOf("other"))
	with := func(kind string) string {
		return fmt.Sprintf("service_type: [{name: %[1]s}]\n%[2]s  - {id: 9, service_type: %[1]s}\n", kind, strings.TrimPrefix(twoServices, "\n"))
	}
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	for name, wrong := range map[string]struct {
		params, says string
		code         int
	}{
		"two mistakes":       {"active_service:\n  - {id: 2, service_type: tcp, port: x}\n  - {id: 2, service_type: nope, port: 1}\n", "params.yaml:3", 78},
		"an address in use":  {twoServices + fmt.Sprintf("  - {id: 9, service_type: tcp, name: new, host: 127.0.0.1, port: %d}\n", taken.Addr().(*net.TCPAddr).Port), "nothing was changed", 1},
		"another server":     {"antano_server: [{id: 7, name: x}]\n" + strings.ReplaceAll(twoServices, "{id:", "{antano_server_id: 7, id:"), "is server 1", 78},
		"no services at all": {"active_service: 5\n", "active_service", 78},
		"a crash":            {with("crash"), "no description today", 78},
		"a panic":            {with("panicky"), "Describe panicked: no words", 78},
		"a wrong schema":     {with("schema"), "unusable", 78},
	} {
		s.rewrite(wrong.params)
		for _, args := range [][]string{{"reload", "--dry-run"}, {"reload"}} {
			if name == "an address in use" && len(args) > 1 {
				continue
			}
			s.fails(wrong.code, wrong.says, args...)
		}
		if got := fmt.Sprint(s.pidsOf("chat"), s.pidsOf("other")); got != before {
			t.Errorf("%s: processes were %s, are %s", name, before, got)
		}
		c.ask(`{"type":"ping","id":1}`).want(t, "type", "pong")
	}
}

// TestReloadMovesAddresses rebinds a service, gives the address of one that is removed
// to another, and lets two services change places.
func TestReloadMovesAddresses(t *testing.T) {
	t.Parallel()
	a, b := freePort(t), freePort(t)
	row := func(id int, name string, port int) string {
		return fmt.Sprintf("  - {id: %d, service_type: tcp, name: %s, host: 127.0.0.1, port: %d, processes: 1}\n", id, name, port)
	}
	s := start(t, "active_service:\n"+row(1, "one", a)+row(2, "two", b))
	address := func(port int) string { return fmt.Sprint("127.0.0.1:", port) }
	asked := func(port int) string {
		return fmt.Sprint(dial(t, "tcp", address(port)).ask(`{"type":"whoami"}`)["service_id"])
	}
	c := freePort(t)
	s.rewrite("active_service:\n" + row(1, "one", c) + row(2, "two", b))
	s.must("reload")
	if _, err := net.Dial("tcp", address(a)); !errors.Is(err, syscall.ECONNREFUSED) || asked(c) != "1" {
		t.Errorf("after a move: %v", err)
	}
	s.rewrite("active_service:\n" + row(1, "one", b) + row(2, "two", c))
	was := s.byID("two")[2]
	if out := s.must("reload", "--dry-run"); strings.Count(out, "stopped and started anew") != 2 {
		t.Errorf("a dry run says\n%s", out)
	}
	if out := s.must("reload"); asked(b) != "1" || asked(c) != "2" {
		t.Errorf("after changing places:\n%s", out)
	}
	if is := s.byID("two")[2]; is.Generation != 2 || is.MessagesIn != was.MessagesIn+1 || is.LastExit == nil {
		t.Errorf("process 2 was %+v and is %+v", was, is)
	}
	s.rewrite("active_service:\n" + row(3, "three", b) + row(2, "two", c))
	if s.must("reload"); asked(b) != "3" || len(s.status().Services) != 3 {
		t.Errorf("after taking over an address: %+v", s.status())
	}
	if p := s.byID("two")[2]; p.State != "ready" {
		t.Errorf("process 2 is %+v", p)
	}
}

// TestReloadRenews changes what a running process cannot live with.
func TestReloadRenews(t *testing.T) {
	t.Parallel()
	row := "active_service:\n  - {id: 1, service_type: unix, name: path, socket_type: %s, endpoint: RUNTIME/path.sock, processes: %d, mode: \"%s\"}\n"
	s := start(t, fmt.Sprintf(row, "stream", 2, "0600"))
	path := filepath.Join(s.runtimeDir(), "path.sock")
	before := s.pidsOf("path")
	s.rewrite(fmt.Sprintf(row, "stream", 2, "0640"))
	s.must("reload")
	if st, err := os.Stat(path); err != nil || st.Mode().Perm() != 0o640 || fmt.Sprint(s.pidsOf("path")) != fmt.Sprint(before) {
		t.Errorf("another mode: %v, %v", st, err)
	}
	s.rewrite(fmt.Sprintf(row, "seqpacket", 1, "0640"))
	if out := s.must("reload"); !strings.Contains(out, "stopped and started anew") {
		t.Errorf("another socket type:\n%s", out)
	}
	if all := s.byID("path"); len(all) != 1 || all[1].Generation != 2 {
		t.Errorf("processes are %+v", all)
	}
	conn, err := net.Dial("unixpacket", path)
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
	s.must("scale", "path=2")
	if all := s.byID("path"); all[2].Generation != 2 {
		t.Errorf("processes are %+v", all)
	}
}

// TestReloadOfStopped leaves a stopped service stopped, and changes it for its start.
func TestReloadOfStopped(t *testing.T) {
	t.Parallel()
	s := start(t, twoServices)
	s.must("stop", "other")
	port := freePort(t)
	s.rewrite(fmt.Sprintf(`
active_service:
  - {id: 2, service_type: tcp, name: chat, host: 127.0.0.1, port: 0, processes: 2}
  - {id: 3, service_type: tcp, name: other, host: 127.0.0.1, port: %d, processes: 2}
`, port))
	s.must("reload")
	svc := s.service("other")
	if svc.State != "stopped" || len(svc.Processes) != 2 {
		t.Errorf("after the reload it is %+v", svc)
	}
	s.must("start", "other")
	if svc := s.service("other"); svc.State != "ready" || svc.Address != fmt.Sprint("127.0.0.1:", port) {
		t.Errorf("after the start it is %+v", svc)
	}
	dial(t, "tcp", fmt.Sprint("127.0.0.1:", port)).whoami()
}

// TestReloadOfStoppedWhoseAddressIsTaken: what is stopped keeps no reload from what else it
// changes.
func TestReloadOfStoppedWhoseAddressIsTaken(t *testing.T) {
	t.Parallel()
	s := start(t, twoServices)
	s.must("stop", "other")
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	moved := strings.Replace(twoServices, "name: other, host: 127.0.0.1, port: 0", fmt.Sprintf("name: other, host: 127.0.0.1, port: %d", l.Addr().(*net.TCPAddr).Port), 1)
	s.rewrite(strings.Replace(moved, "processes: 2", "processes: 1", 1))
	if out := s.must("reload"); !strings.Contains(out, "service other stays stopped, and could not be started now") {
		t.Errorf("the reload says\n%s", out)
	}
	if chat, other := s.service("chat"), s.service("other"); len(chat.Processes) != 1 || other.State != "stopped" {
		t.Errorf("%d processes of chat, other is %s", len(chat.Processes), other.State)
	}
	s.fails(1, "in use", "start", "other")
	l.Close()
	s.must("start", "other")
	if address := s.service("other").Address; address != l.Addr().String() {
		t.Errorf("it listens on %s, not %s", address, l.Addr())
	}
}

// TestPluginChangesOnDisk replaces the processes of a plugin whose file is another, by
// reload and by restart, and one that is no good changes nothing.
func TestPluginChangesOnDisk(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "how")
	if err := os.WriteFile(file, []byte("config"), 0o600); err != nil {
		t.Fatal(err)
	}
	flags := pluginDirs(t, "fickle")
	plugin := filepath.Join(flags[1], "antano-service-fickle")
	image, err := os.ReadFile(plugin)
	if err != nil {
		t.Fatal(err)
	}
	install := func(content []byte) {
		t.Helper()
		if err := os.WriteFile(plugin+".new", content, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(plugin+".new", plugin); err != nil {
			t.Fatal(err)
		}
	}
	say := func(what string) {
		if err := os.WriteFile(file, []byte(what), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	say("well")
	s := start(t, fmt.Sprintf(`
service_type: [{id: 101, name: fickle}]
active_service:
  - {id: 1, service_type: fickle, name: fickle, processes: 2, settings: {file: %s}}
  - {id: 2, service_type: tcp, name: chat, host: 127.0.0.1, port: 0, processes: 1}
`, file), flags...)
	chat, before := s.pidsOf("chat"), s.pidsOf("fickle")
	install(append(image, "another version"...))
	if out := s.must("reload", "--dry-run"); !strings.Contains(out, "changed on disk") {
		t.Errorf("the dry run says %s", out)
	}
	say("exit")
	s.fails(1, "these are my last words", "reload")
	if fmt.Sprint(s.pidsOf("fickle")) != fmt.Sprint(before) {
		t.Error("a bad version has replaced something")
	}
	say("well")
	s.must("reload")
	if after := s.pidsOf("fickle"); after[1] == before[1] || after[2] == before[2] || s.pidsOf("chat")[3] != chat[3] {
		t.Errorf("fickle was %v and is %v", before, after)
	}
	install([]byte("not a program"))
	s.fails(78, "antano-service-fickle", "restart", "fickle")
	s.fails(78, "antano-service-fickle", "reload")
	install(append(image, "a third version"...))
	if out := s.must("restart", "fickle"); !strings.Contains(out, "changed on disk") {
		t.Errorf("restart says %s", out)
	}
	if out := s.must("reload"); !strings.Contains(out, "nothing changes") {
		t.Errorf("reload says %s", out)
	}
}

// TestHangupReloads says SIGHUP, and logs what is wrong.
func TestHangupReloads(t *testing.T) {
	t.Parallel()
	s := start(t, twoServices)
	hangup := func(says string) {
		t.Helper()
		if err := s.cmd.Process.Signal(syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the log says "+says, func() bool { return strings.Contains(s.stderr.String(), says) })
	}
	s.rewrite(strings.ReplaceAll(twoServices, "processes: 1", "processes: 2"))
	hangup("reload: done")
	if n := len(s.byID("other")); n != 2 {
		t.Errorf("%d processes", n)
	}
	s.rewrite("active_service: 5\n")
	hangup("reload: failed")
}

// TestOneChangeAtATime refuses a second change and completes one whose command is gone.
func TestOneChangeAtATime(t *testing.T) {
	t.Parallel()
	s := start(t, twoServices)
	before := s.pidsOf("chat")
	first := s.command("restart", "chat")
	out := &lockedBuffer{}
	first.Stdout, first.Stderr = out, out
	if err := first.Start(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it has begun", func() bool { return strings.Contains(out.String(), "chat/1: generation 2 serves") })
	s.fails(1, "'restart chat' is under way", "reload")
	if err := first.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	if err := first.Wait(); err == nil || !strings.Contains(out.String(), "the server goes on with it") {
		t.Errorf("told to end: %v, %s", err, out)
	}
	eventually(t, "the other process is replaced", func() bool {
		all := s.byID("chat")
		return all[2].State == "ready" && all[2].PID != before[2]
	})
	var st manager.Status
	if err := s.ask("/v1/status", &st); err != nil || st.State != "ready" {
		t.Errorf("status %+v, %v", st, err)
	}
}

// TestReloadMovesDatagrams rebinds a udp service with several processes, and restarts
// the internal service like any other.
func TestReloadMovesDatagrams(t *testing.T) {
	t.Parallel()
	row := "active_service:\n  - {id: 1, service_type: udp, name: flood, host: 127.0.0.1, port: %d, processes: 2}\n"
	s := start(t, fmt.Sprintf(row, 0))
	old := s.service("flood").Address
	dial(t, "udp", old).whoami()
	port := freePort(t)
	s.rewrite(fmt.Sprintf(row, port))
	s.must("reload")
	for range 20 {
		dial(t, "udp", fmt.Sprint("127.0.0.1:", port)).whoami()
	}
	if l, err := net.ListenPacket("udp", old); err != nil {
		t.Errorf("the old address is still held: %v", err)
	} else {
		l.Close()
	}
	s.must("restart", "internal")
	s.must("restart", "0/0")
	if p := s.byID("internal")[0]; p.Generation != 3 || p.State != "ready" {
		t.Errorf("the internal service is %+v", p)
	}
	out, errs, _ := s.antano("send", "--entity", "service", "--entity-id", "1", "--receipt", "1")
	if !strings.Contains(out+errs, "unsupported") {
		t.Errorf("send says %s%s", out, errs)
	}
}
