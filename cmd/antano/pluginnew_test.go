package main_test

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// newProject writes a new plugin and returns its directory and what make does there.
func newProject(t *testing.T, name, kind string) (dir string, makes func(targets ...string) string) {
	t.Helper()
	for _, tool := range []string{"go", "make"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("a project needs %s", tool)
		}
	}
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	dir = filepath.Join(t.TempDir(), "project")
	out, errs, code := antano(t, "", "plugin", "new", name, "--kind", kind, "--dir", dir, "--replace", root)
	if code != 0 || !strings.Contains(out, "service.go") || !strings.Contains(errs, "make test") {
		t.Fatalf("plugin new: exit %d: %s%s", code, out, errs)
	}
	return dir, func(targets ...string) string {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
		defer cancel()
		cmd := exec.CommandContext(ctx, "make", targets...)
		cmd.Dir = dir
		// Built as the tests are, so that most of it has been built before.
		cmd.Env = append(os.Environ(), "ANTANO="+filepath.Join(binDir, "antano"), "GOFLAGS="+strings.Join(append([]string{"-ldflags=-w"}, raceFlags...), " "))
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("make %v: %v\n%s", targets, err, out)
		}
		return string(out)
	}
}

// startProject runs the params of a project that was built, on ports that are free.
func startProject(t *testing.T, dir string) *server {
	t.Helper()
	params, err := os.ReadFile(filepath.Join(dir, "params.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	s := newServer(t, freePorts.ReplaceAllString(string(params), "port: 0"))
	s.cmd.Env = append(os.Environ(), "ANTANO_PLUGIN_DIR="+filepath.Join(dir, "plugins"))
	s.start()
	return s
}

// TestNewHandler writes a handler, has its Makefile vet, test and build it, and talks to
// it in a server.
func TestNewHandler(t *testing.T) {
	t.Parallel()
	dir, makes := newProject(t, "greet", "handler")
	if out := makes("test"); !strings.Contains(out, "ok") {
		t.Errorf("make test printed %s", out)
	}
	if out := makes("describe"); !strings.Contains(out, `"service_type": "greet"`) {
		t.Errorf("make describe printed %s", out)
	}
	s := startProject(t, dir)
	c := dial(t, "tcp", s.service("door").Address)
	_, response := c.call(`{"entity": "service", "entity_id": 9, "message": "Ada", "id": 1}`)
	response.want(t, "message", "hello, Ada", "in_reply_to", "1")
	c.ask(`{"entity": "service", "entity_id": 9, "message": "", "id": 2}`).want(t, "code", "bad_message")
}

// TestPluginNewRefuses is about the command line.
func TestPluginNewRefuses(t *testing.T) {
	t.Parallel()
	full := t.TempDir()
	if err := os.WriteFile(filepath.Join(full, "x"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for says, c := range map[string]struct {
		args []string
		code int
	}{
		"exactly one argument":    {nil, 2},
		"cannot be a service":     {[]string{"Greet"}, 2},
		"is built in":             {[]string{"udp"}, 2},
		`--kind "pigeon" is none`: {[]string{"greet", "--kind", "pigeon"}, 2},
		"is not a module path":    {[]string{"greet", "--module", "/x"}, 2},
		"is no checkout":          {[]string{"greet", "--replace", full}, 2},
		"is not empty":            {[]string{"greet", "--dir", full, "--replace", "../.."}, 1},
	} {
		_, errs, code := antano(t, "", append([]string{"plugin", "new"}, c.args...)...)
		if code != c.code || !strings.Contains(errs, says) {
			t.Errorf("%v: exit %d: %s", c.args, code, errs)
		}
	}
}

// TestNewTransport writes a transport, has its Makefile test it, and talks through it in a
// server.
func TestNewTransport(t *testing.T) {
	t.Parallel()
	dir, makes := newProject(t, "lines", "transport")
	if out := makes("test", "conformance"); !strings.Contains(out, "ok") || !strings.Contains(out, " 0 failed") {
		t.Errorf("make test conformance printed %s", out)
	}
	s := startProject(t, dir)
	lines, err := net.Dial("tcp", s.service("lines").Address)
	if err != nil {
		t.Fatal(err)
	}
	defer lines.Close()
	if err := lines.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	said := bufio.NewReader(lines)
	hears := func(want string) {
		t.Helper()
		if line, err := said.ReadString('\n'); err != nil || !strings.Contains(line, want) {
			t.Fatalf("the client of lines gets %q, %v; want %q", line, err, want)
		}
	}
	fmt.Fprintln(lines, "join room/7")
	hears("* joined room/7")
	c := dial(t, "tcp", s.service("door").Address)
	c.ask(`{"entity":"room","entity_id":7,"message":"hello","id":1}`).want(t, "type", "receipt", "delivered", "1")
	hears(": hello\n")
}
