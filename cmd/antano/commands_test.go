package main_test

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/antano/antano/manager"
)

var update = flag.Bool("update", false, "write golden files anew")

// TestSend is a client on the internal service.
func TestSend(t *testing.T) {
	t.Parallel()
	s := start(t, withHandlers, pluginDirs(t, "probe")...)
	c := dial(t, "tcp", s.service("tcp").Address)
	c.ask(`{"type":"join","entity":"room","entity_id":7,"id":1}`).want(t, "type", "joined")
	room := []string{"--entity", "room", "--entity-id", "7"}
	send := func(stdin string, code int, args ...string) string {
		t.Helper()
		out, errs, got := antano(t, stdin, append([]string{"send", "--runtime-dir", s.runtimeDir()}, args...)...)
		if got != code {
			t.Errorf("send %q: exit %d, want %d: %s%s", args, got, code, out, errs)
		}
		if code == 2 && errs == "" || code != 2 && errs != "" {
			t.Errorf("send %q says %q", args, errs)
		}
		return out
	}

	if out := send("", 0, append(room, "--receipt", `{"a": [1]}`)...); out != `{"type":"receipt","id":1,"delivered":1}`+"\n" {
		t.Errorf("the receipt is %q", out)
	}
	c.receive().want(t, "message", "map[a:[1]]")
	if out := send("", 0, append(room, "not { JSON")...); out != "" {
		t.Errorf("without --receipt send printed %q", out)
	}
	c.receive().want(t, "message", "not { JSON")
	out := send("1\r\n\n\"two\"\nthree 3", 0, append(room, "--receipt", "-")...)
	if strings.Count(out, `"delivered":1`) != 3 {
		t.Errorf("three lines got %q", out)
	}
	for _, want := range []string{"1", "two", "three 3"} {
		c.receive().want(t, "message", want)
	}
	out = send("", 0, "--receipt", "--entity", "service", "--entity-id", "9", "--process-id", "6", "x")
	if o := decode(t, []byte(out)); o["type"] != "receipt" {
		t.Errorf("a named process got %v", o)
	}

	nobody := []string{"--entity", "room", "--entity-id", "8"}
	decode(t, []byte(send("", 1, append(nobody, "--receipt", "x")...))).want(t, "type", "error", "code", "no_such_entity", "id", "1")
	send("", 0, append(nobody, "x")...)
	decode(t, []byte(send("", 1, "x"))).want(t, "type", "error", "code", "no_destination")
	decode(t, []byte(send("", 1, "--receipt", "--entity", "service", "--entity-id", "9", "--process-id", "0", "x"))).want(t, "code", "no_such_process")
	if out := send("a\nb\n", 1, append(nobody, "--receipt", "-")...); strings.Count(out, "no_such_entity") != 2 {
		t.Errorf("of two errors send printed %q", out)
	}
	send("", 2, "--entity", "room", "x")
	send("", 2, room...)
	send("", 2, append(room, "x", "y")...)
	send("", 2, "--entity", "room", "--entity-id", "seven", "x")
}

// TestListen joins, says so on standard error, and prints what comes until it is
// told to end.
func TestListen(t *testing.T) {
	t.Parallel()
	s := start(t, threeServices)
	cmd := exec.Command(filepath.Join(binDir, "antano"), "listen", "--entity", "room", "--entity-id", "-3", "--runtime-dir", s.runtimeDir())
	errs := &lockedBuffer{}
	cmd.Stderr = errs
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	eventually(t, "listen has joined", func() bool { return errs.String() == "joined room/-3\n" })
	c := dial(t, "tcp", s.service("tcp").Address)
	in := bufio.NewReader(out)
	for i := range 3 {
		c.ask(fmt.Sprintf(`{"entity":"room","entity_id":-3,"message":{"n":%d},"id":%d}`, i, i)).want(t, "type", "receipt", "delivered", "1")
		line, err := in.ReadBytes('\n')
		if err != nil {
			t.Fatal(err)
		}
		decode(t, line).want(t, "type", "message", "entity", "room", "entity_id", "-3", "message", fmt.Sprintf("map[n:%d]", i),
			"from", "map[entity:client entity_id:"+c.whoami()+"]")
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("listen ended with %v: %s", err, errs)
	}
	if out, _, code := s.antano("listen", "--entity", "client", "--entity-id", "1"); code != 1 || !strings.Contains(out, `"denied"`) {
		t.Errorf("listen to a client: exit %d, %s", code, out)
	}
	if _, errs, code := s.antano("listen", "--entity", "room"); code != 2 || !strings.Contains(errs, "--entity-id") {
		t.Errorf("listen without an id: exit %d, %s", code, errs)
	}

	// A server that goes ends its listeners.
	last := exec.Command(filepath.Join(binDir, "antano"), "listen", "--entity", "room", "--entity-id", "1", "--runtime-dir", s.runtimeDir())
	said := &lockedBuffer{}
	last.Stderr = said
	if err := last.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = last.Process.Kill() })
	eventually(t, "listen has joined", func() bool { return strings.Contains(said.String(), "joined") })
	s.stop()
	if err := last.Wait(); last.ProcessState.ExitCode() != 1 || !strings.Contains(said.String(), "closed the connection") {
		t.Errorf("listen ended with %v: %s", err, said)
	}
}

// TestStatusAndClients asks a running server, as text and as JSON.
func TestStatusAndClients(t *testing.T) {
	t.Parallel()
	s := start(t, threeServices)
	c := dial(t, "tcp", s.service("tcp").Address)
	id := c.whoami()
	c.ask(`{"type":"join","entity":"room","entity_id":1}`).want(t, "type", "joined")

	out, _, code := s.antano("status", "--json")
	var st manager.Status
	if err := json.Unmarshal([]byte(out), &st); err != nil || code != 0 {
		t.Fatalf("exit %d, %v: %s", code, err, out)
	}
	if st.PID != s.cmd.Process.Pid || st.State != "ready" || st.ServerID != 1 || len(st.Services) != 4 {
		t.Errorf("status is %s", out)
	}
	sum := [5]uint64{}
	for _, svc := range st.Services {
		for _, p := range svc.Processes {
			sum[0], sum[1], sum[2] = sum[0]+p.Clients, sum[1]+p.MessagesIn, sum[2]+p.MessagesOut
			sum[3], sum[4] = sum[3]+p.BytesIn, sum[4]+p.BytesOut
		}
	}
	if sum[0] != 1 || sum[1] != 2 || sum[2] != 2 || sum[3] == 0 || sum[4] == 0 {
		t.Errorf("clients, messages and bytes in and out are %v", sum)
	}
	for _, key := range []string{`"last_exit":null`, `"drops":{}`, `"restarts":0`, `"uptime_s":`} {
		if !strings.Contains(out, key) {
			t.Errorf("status has no %s", key)
		}
	}
	out, _, code = s.antano("status")
	lines := strings.Split(out, "\n")
	if code != 0 || !regexp.MustCompile(`^server 1: ready, pid \d+, version \S+, up \d+s$`).MatchString(lines[0]) || len(lines) != 10 {
		t.Errorf("exit %d, status is\n%s", code, out)
	}

	out, _, code = s.antano("clients", "tcp", "--json")
	var clients []manager.ClientStatus
	if err := json.Unmarshal([]byte(out), &clients); err != nil || code != 0 || len(clients) != 1 {
		t.Fatalf("exit %d, %v: %s", code, err, out)
	}
	if k := clients[0]; fmt.Sprint(k.ID) != id || k.Address != c.conn.LocalAddr().String() || k.Groups != 1 || k.MessagesIn != 2 {
		t.Errorf("the client is %+v, not %s at %s", k, id, c.conn.LocalAddr())
	}
	for _, service := range []string{"tcp", "2"} {
		if out, _, code := s.antano("clients", service); code != 0 || !strings.Contains(out, id) || !strings.HasPrefix(out, "CLIENT ") {
			t.Errorf("clients %s: exit %d\n%s", service, code, out)
		}
	}
	if out, _, code := s.antano("clients", "3", "--json"); code != 0 || strings.TrimSpace(out) != "[]" {
		t.Errorf("no clients: exit %d, %s", code, out)
	}
	if _, errs, code := s.antano("clients", "nope"); code != 1 || !strings.Contains(errs, `"nope"`) {
		t.Errorf("clients of no service: exit %d, %s", code, errs)
	}
	if _, errs, code := s.antano("validate", "--params", filepath.Join(s.dir, "params.yaml")); code != 0 {
		t.Errorf("validate beside the running server: exit %d, %s", code, errs)
	}
}

// TestPluginCommands lists and describes the plugins beside the binary.
func TestPluginCommands(t *testing.T) {
	t.Parallel()
	out, _, code := antano(t, "", "plugin", "list", "--json")
	var plugins []manager.Plugin
	if err := json.Unmarshal([]byte(out), &plugins); err != nil || code != 0 {
		t.Fatalf("exit %d, %v: %s", code, err, out)
	}
	var types []string
	for _, p := range plugins {
		types = append(types, p.Type)
		if p.Problem != "" || p.Description.ServiceType != p.Type || len(p.SHA256) != 64 {
			t.Errorf("%+v", p)
		}
	}
	if !slices.Equal(types, []string{"echo", "rest", "tcp", "udp", "unix", "websocket"}) {
		t.Errorf("plugins are %v", types)
	}

	out, _, code = antano(t, "", append([]string{"plugin", "list"}, pluginDirs(t, "rubbish")...)...)
	if code != 0 || !strings.Contains(out, "Welcome to the rubbish plugin!") || strings.Count(out, "\n") != 8 {
		t.Errorf("exit %d, list with a bad plugin is\n%s", code, out)
	}

	out, _, code = antano(t, "", "plugin", "describe", "echo")
	var p struct {
		Description struct {
			Handler  bool            `json:"handler"`
			Formats  []string        `json:"formats_in"`
			Settings json.RawMessage `json:"settings_schema"`
		} `json:"description"`
	}
	if err := json.Unmarshal([]byte(out), &p); err != nil || code != 0 || !p.Description.Handler || !slices.Contains(p.Description.Formats, "json") || !strings.Contains(string(p.Description.Settings), `"prefix"`) {
		t.Errorf("exit %d, %v: %s", code, err, out)
	}
	if _, errs, code := antano(t, "", "plugin", "describe", "nope"); code != 78 || !strings.Contains(errs, "antano-service-nope") {
		t.Errorf("describe of no plugin: exit %d, %s", code, errs)
	}
}

// TestSmallCommands needs no server.
func TestSmallCommands(t *testing.T) {
	t.Parallel()
	version, _, code := antano(t, "", "version")
	if code != 0 || !regexp.MustCompile(`^antano \S+\n$`).MatchString(version) {
		t.Errorf("version: exit %d, %q", code, version)
	}
	if short, _, code := antano(t, "", "-v"); code != 0 || short != version {
		t.Errorf("-v: exit %d, %q", code, short)
	}
	script, _, code := antano(t, "", "completion", "bash")
	check := exec.Command("bash", "-n")
	check.Stdin = strings.NewReader(script)
	if out, err := check.CombinedOutput(); code != 0 || err != nil || !strings.Contains(script, "antano") {
		t.Errorf("completion: exit %d, %v: %s", code, err, out)
	}
	help, _, code := antano(t, "")
	if code != 0 || !strings.Contains(help, "validate") {
		t.Errorf("no command: exit %d, %s", code, help)
	}
	for _, name := range []string{"run", "validate", "status", "send", "listen", "clients", "plugin", "version", "completion"} {
		if out, _, code := antano(t, "", name, "--help"); code != 0 || !strings.Contains(out, "Usage:") {
			t.Errorf("%s --help: exit %d", name, code)
		}
	}
}

var spaces = regexp.MustCompile(` {2,}`)

// TestValidatePrintsThePlan compares the plan with testdata/plan.golden.
func TestValidatePrintsThePlan(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "params.yaml")
	const params = `
antano_server: [{id: 1, name: edge}, {id: 2, name: core}]
num_of_process: 3
service_type: [{id: 101, name: echo}]
active_service:
  - {id: 1, service_type: udp, host: 127.0.0.1, port: 0}
  - {id: 2, service_type_id: 2, name: chat, host: 127.0.0.1, port: 0, processes: 1, message_format_in: msgpack, message_format_out: json}
  - {id: 3, service_type: unix, endpoint: local.sock}
  - {id: 4, service_type: unix, name: lines, endpoint: lines.sock, socket_type: stream, message_format_in: text, message_format_out: text}
  - {id: 5, service_type: tcp, antano_server_id: 2, host: 127.0.0.1, port: 0}
  - {id: 9, service_type_id: 101, settings: {prefix: "> "}}
`
	if err := os.WriteFile(file, []byte(params), 0o600); err != nil {
		t.Fatal(err)
	}
	out := ""
	for _, id := range []string{"1", "2"} {
		plan, errs, code := antano(t, "", "validate", "--params", file, "--id", id, "--runtime-dir", filepath.Join(dir, "r"))
		if code != 0 {
			t.Fatalf("exit %d: %s", code, errs)
		}
		out += plan
	}
	out = strings.NewReplacer(filepath.Join(dir, "r"), "RUNTIME", filepath.Join(binDir, "plugins"), "PLUGINS").Replace(out)
	out = spaces.ReplaceAllString(out, "  ")
	golden := filepath.Join("testdata", "plan.golden")
	if *update {
		if err := os.WriteFile(golden, []byte(out), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if out != string(want) {
		t.Errorf("the plan is\n%swant\n%s", out, want)
	}
}

// TestRunFlags chooses a server and a host on the command line.
func TestRunFlags(t *testing.T) {
	t.Parallel()
	s := start(t, `
antano_server: [{id: 3, name: a}, {id: 4, name: b}]
active_service:
  - {id: 1, antano_server_id: 3, service_type: tcp, name: of-a, host: 127.0.0.1, port: 0, processes: 1}
  - {id: 2, antano_server_id: 4, service_type: tcp, name: of-b, host: 127.0.0.1, port: 0, processes: 1}
`, "--id", "4", "-a", "127.0.0.2")
	st := s.status()
	if st.ServerID != 4 || len(st.Services) != 2 || !strings.HasPrefix(s.service("of-b").Address, "127.0.0.2:") {
		t.Errorf("runs %+v", st)
	}
	c := dial(t, "tcp", s.service("of-b").Address)
	var id int64
	if _, err := fmt.Sscan(c.whoami(), &id); err != nil || id>>45 != 4 {
		t.Errorf("client id %d is not of server 4, %v", id, err)
	}
}

// rates are the last columns of a process without drops that is busy.
var rates = regexp.MustCompile(`\b0 +[1-9]\d* +[1-9]\d* +0\n`)

// TestStatusWatch prints the status again every second, with rates, until it is
// interrupted.
func TestStatusWatch(t *testing.T) {
	t.Parallel()
	s := start(t, threeServices)
	out := &lockedBuffer{}
	cmd := exec.Command(filepath.Join(binDir, "antano"), "status", "--watch", "--runtime-dir", s.runtimeDir())
	cmd.Stdout = out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = cmd.Process.Kill() }()
	c := dial(t, "tcp", s.service("tcp").Address)
	eventually(t, "the status is printed twice", func() bool {
		c.ask(`{"type":"ping"}`)
		return strings.Count(out.String(), "server 1: ready") >= 2 && rates.MatchString(out.String())
	})
	if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("an interrupted watch ends with %v", err)
	}
}
