package main_test

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"
)

var (
	tutorialStep = regexp.MustCompile("(?s)<!-- step: (\\w+) -->\n```sh\n(.*?)```")
	goListing    = regexp.MustCompile("(?s)```go\n(.*?)```")
)

// tutorial is docs/writing-a-plugin.md as it is run.
type tutorial struct {
	t      *testing.T
	steps  map[string]string
	dir    string // where bin/antano is
	env    []string
	port   string
	timing []string
}

// run runs a step as it is written, but for the port.
func (u *tutorial) run(name, dir string) string {
	u.t.Helper()
	began := time.Now()
	cmd := exec.Command("bash", "-c", "set -e -o pipefail\n"+strings.ReplaceAll(u.steps[name], "18002", u.port))
	cmd.Dir, cmd.Env = dir, u.env
	out, err := cmd.CombinedOutput()
	if err != nil {
		u.t.Fatalf("%s: %v\n%s", u.steps[name], err, out)
	}
	u.timing = append(u.timing, fmt.Sprintf("%s %.1f s (CPU %.1f s)", name, time.Since(began).Seconds(),
		(cmd.ProcessState.UserTime()+cmd.ProcessState.SystemTime()).Seconds()))
	return string(out)
}

// newTutorial reads the document and makes a directory with bin/antano, whose servers have a
// runtime directory and ports of their own.
func newTutorial(t *testing.T, text string) *tutorial {
	t.Helper()
	u := &tutorial{t: t, steps: map[string]string{}, port: "18002"}
	for _, m := range tutorialStep.FindAllStringSubmatch(text, -1) {
		u.steps[m[1]] = m[2]
	}
	for _, tool := range []string{"bash", "make", "go", "sed"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("the tutorial needs %s", tool)
		}
	}
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	if u.dir, err = os.MkdirTemp("", "ae"); err != nil { // short: sockets are made in there
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(u.dir) })
	if err := os.Mkdir(filepath.Join(u.dir, "bin"), 0o755); err != nil {
		t.Fatal(err)
	}
	script := fmt.Sprintf(`#!/bin/sh
case "$1 $2" in
"plugin attach") shift 2; exec %[1]s/antano plugin attach --runtime-dir %[3]s/run "$@" ;;
"plugin new") shift 2; exec %[1]s/antano plugin new --replace %[2]s "$@" ;;
plugin*) exec %[1]s/antano "$@" ;;
*) exec %[1]s/antano "$@" --runtime-dir %[3]s/run ;;
esac
`, binDir, root, u.dir)
	antano := filepath.Join(u.dir, "bin", "antano")
	if err := os.WriteFile(antano, []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	// Stands for the debugger: it starts what it is told to.
	if err := os.WriteFile(filepath.Join(u.dir, "bin", "dlv"), []byte("#!/bin/sh\nshift\nexec \"$@\"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	// Built as the tests are, so that most of it has been built before.
	u.env = append(os.Environ(), "PATH="+filepath.Join(u.dir, "bin")+":"+os.Getenv("PATH"), "ANTANO="+antano, "GOFLAGS="+strings.Join(append([]string{"-ldflags=-w"}, raceFlags...), " "))
	return u
}

// TestTutorial runs docs/writing-a-plugin.md: a stranger's path from nothing to a rolling
// upgrade, and how long it takes.
func TestTutorial(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../docs/writing-a-plugin.md")
	if err != nil {
		t.Fatal(err)
	}
	u := newTutorial(t, string(text))
	if len(u.steps) != 9 {
		t.Fatalf("the tutorial has %d steps, not 9", len(u.steps))
	}
	u.run("new", u.dir)
	project := filepath.Join(u.dir, "antano-service-greet")
	u.listings(string(text), project)
	if out := u.run("check", project); !strings.Contains(out, " 0 failed") || !strings.Contains(out, `"service_type": "greet"`) {
		t.Errorf("describe, validate and conformance printed %s", out)
	}

	params := filepath.Join(project, "params.yaml")
	given, err := os.ReadFile(params)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(params, freePorts.ReplaceAll(given, []byte("port: 0")), 0o600); err != nil {
		t.Fatal(err)
	}
	stop := u.serve(project, u.steps["run"])
	_, typed, _ := strings.Cut(strings.TrimSpace(u.steps["talk"]), "\n")
	ada := dial(t, "tcp", net.JoinHostPort("127.0.0.1", u.port))
	began := time.Now()
	receipt, response := ada.call(typed)
	response.want(t, "message", "hello, Ada", "in_reply_to", "1")
	receipt.want(t, "id", "1", "delivered", "1")
	u.timing = append(u.timing, fmt.Sprintf("talk %.3f s", time.Since(began).Seconds()))
	for _, promise := range []string{`"message":"hello, Ada"`, `"in_reply_to":1`, `{"type":"receipt","id":1,"delivered":1}`, `"message":"hello, dear Ada"`} {
		if !bytes.Contains(text, []byte("`"+promise+"`")) {
			t.Errorf("the tutorial does not promise %s", promise)
		}
	}
	if out := u.run("send", project); !strings.Contains(out, `"delivered":1`) || !strings.Contains(out, "refused") {
		t.Errorf("send printed %s", out)
	}
	u.run("look", project)
	if out := u.run("upgrade", project); !strings.Contains(out, "greet") {
		t.Errorf("reload printed %s", out)
	}
	_, response = ada.call(typed)
	response.want(t, "message", "hello, dear Ada")
	stop()
	u.debug(project, typed)
	t.Logf("a stranger's path: %s", strings.Join(u.timing, ", "))
}

// debug walks the section about debuggers, with one that does nothing but start the plugin.
func (u *tutorial) debug(project, typed string) {
	u.t.Helper()
	build, run, _ := strings.Cut(u.steps["debug"], "\n")
	u.steps["build for a debugger"] = build
	u.run("build for a debugger", project)
	stop := u.serve(project, run)
	out := &lockedBuffer{}
	cmd := exec.Command("bash", "-c", "exec "+u.steps["attach"])
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = project, u.env, out, out
	if err := cmd.Start(); err != nil {
		u.t.Fatal(err)
	}
	u.t.Cleanup(func() {
		stop() // and with it the plugin, which holds what cmd prints to
		cmd.Wait()
	})
	eventually(u.t, "the process under the debugger to serve", func() bool { return strings.Contains(out.String(), "serves") })
	_, response := dial(u.t, "tcp", net.JoinHostPort("127.0.0.1", u.port)).call(typed)
	response.want(u.t, "message", "hello, dear Ada")
}

// listings looks for the listings of the document in the project.
func (u *tutorial) listings(text, project string) {
	u.t.Helper()
	var sources []byte
	for _, name := range []string{"service.go", "service_test.go"} {
		b, err := os.ReadFile(filepath.Join(project, name))
		if err != nil {
			u.t.Fatal(err)
		}
		sources = append(sources, b...)
	}
	all := goListing.FindAllStringSubmatch(text, -1)
	if len(all) < 4 {
		u.t.Errorf("the tutorial has %d listings", len(all))
	}
	for _, m := range all {
		if !bytes.Contains(sources, []byte(m[1])) {
			u.t.Errorf("the project has no such lines:\n%s", m[1])
		}
	}
}

// serve leaves a server running until stop is called or the test ends.
func (u *tutorial) serve(project, command string) (stop func()) {
	u.t.Helper()
	printed := &lockedBuffer{}
	cmd := exec.Command("bash", "-c", strings.TrimSpace(command))
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = project, u.env, printed, &lockedBuffer{}
	if err := cmd.Start(); err != nil {
		u.t.Fatal(err)
	}
	stop = sync.OnceFunc(func() {
		u.stopServer()
		if err := cmd.Wait(); u.t.Failed() {
			u.t.Logf("%s ended with %v, and printed\n%s%s", command, err, printed, cmd.Stderr)
		}
	})
	u.t.Cleanup(stop)
	eventually(u.t, "the server is ready", func() bool { return strings.Contains(printed.String(), "\nready\n") })
	address := regexp.MustCompile(`127\.0\.0\.1:(\d+)`).FindStringSubmatch(printed.String())
	if address == nil {
		u.t.Fatalf("%s printed %s", command, printed)
	}
	u.port = address[1]
	return stop
}

// stopServer ends the server as Ctrl-C does, which reaches make and antano alike.
func (u *tutorial) stopServer() {
	pid, err := os.ReadFile(filepath.Join(u.dir, "run", "lock"))
	if err != nil {
		return
	}
	_ = exec.Command("kill", "-INT", strings.TrimSpace(string(pid))).Run()
}
