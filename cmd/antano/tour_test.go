package main_test

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// tourBlock finds the commands of the README that the tour consists of.
var tourBlock = regexp.MustCompile("(?s)<!-- tour: (\\w+) -->\n```sh\n(.*?)```")

// TestTour runs the README's five minutes as they are written, but for the ports and
// the runtime directory, which must not collide with a server that is running.
func TestTour(t *testing.T) {
	t.Parallel()
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	steps := map[string]string{}
	for _, m := range tourBlock.FindAllStringSubmatch(string(readme), -1) {
		steps[m[1]] = m[2]
	}
	if len(steps) != 5 {
		t.Fatalf("the README has %d tour steps, not 5", len(steps))
	}
	for _, tool := range []string{"bash", "nc", "socat", "python3"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("the tour needs %s; .ci/run installs it", tool)
		}
	}
	s := start(t, threeServices)
	shell := tourShell(t, s)

	command, typed, _ := strings.Cut(steps["tcp"], "\n")
	nc := exec.Command("bash", "-c", shell.rewrite("exec "+command))
	stdin, err := nc.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	seen := &lockedBuffer{}
	nc.Stdout = seen
	if err := nc.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = nc.Process.Kill()
		_ = nc.Wait()
	}()
	if _, err := stdin.Write([]byte(typed)); err != nil {
		t.Fatal(err)
	}
	sees := func(text string) {
		t.Helper()
		eventually(t, "nc sees "+text, func() bool { return strings.Contains(seen.String(), text) })
	}
	quoted := func(fragment string) string {
		t.Helper()
		if !strings.Contains(string(readme), "`"+fragment+"`") {
			t.Errorf("the README does not promise %s", fragment)
		}
		return fragment
	}
	sees(quoted(`{"type":"joined","id":1,"entity":"room","entity_id":7}`))
	if out := shell.run(t, steps["udp"]); strings.TrimSpace(out) != quoted(`{"type":"receipt","id":1,"delivered":1}`) {
		t.Errorf("socat printed %q", out)
	}
	sees(`"message":{"text": "hello"}`)
	if out := shell.run(t, steps["send"]); !strings.Contains(out, `"type":"receipt"`) || !strings.Contains(out, `"delivered":1`) {
		t.Errorf("antano send printed %q", out)
	}
	sees(`"from the shell"`)

	before := s.service("udp").Processes
	shell.run(t, steps["kill"])
	eventually(t, "the killed process is back", func() bool {
		p := s.service("udp").Processes[0]
		return p.State == "ready" && p.Generation == 2 && p.Restarts == 1 &&
			p.ProcessID == before[0].ProcessID && p.PID != before[0].PID
	})
	if after := s.service("udp").Processes[1]; after.PID != before[1].PID {
		t.Error("the sibling was restarted too")
	}
	shell.run(t, steps["send"])
	eventually(t, "nc is still connected", func() bool { return strings.Count(seen.String(), "from the shell") == 2 })
	live := shell.run(t, steps["live"])
	for _, says := range []string{"scale tcp=4: done", "restart tcp/3: done", "scale tcp=2: done", "nothing changes", "killed by SIGKILL"} {
		if !strings.Contains(live, says) {
			t.Errorf("live control printed no %q:\n%s", says, live)
		}
	}
	shell.run(t, steps["send"])
	eventually(t, "nc is connected after a restart", func() bool { return strings.Count(seen.String(), "from the shell") == 3 })
}

// shell runs README commands in a directory with bin/antano in it.
type shell struct {
	dir      string
	replacer *strings.Replacer
}

func tourShell(t *testing.T, s *server) shell {
	t.Helper()
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "bin"), 0o700); err != nil {
		t.Fatal(err)
	}
	script := fmt.Sprintf("#!/bin/sh\nexec %s/antano \"$@\" --runtime-dir %s\n", binDir, s.runtimeDir())
	if err := os.WriteFile(filepath.Join(dir, "bin", "antano"), []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	port := func(service string) string {
		_, p, err := net.SplitHostPort(s.service(service).Address)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	return shell{dir, strings.NewReplacer("18001", port("udp"), "18002", port("tcp"))}
}

func (s shell) rewrite(text string) string { return s.replacer.Replace(text) }

func (s shell) run(t *testing.T, text string) string {
	t.Helper()
	cmd := exec.Command("bash", "-c", "set -e -o pipefail\n"+s.rewrite(text))
	cmd.Dir = s.dir
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", text, err, out)
	}
	return string(out)
}
