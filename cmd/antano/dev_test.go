package main_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/antano/antano/internal/testserver"
)

const devParams = `
active_service:
  - {id: 2, service_type: tcp, name: chat, host: 127.0.0.1, port: 0, processes: 2}
`

// TestDevBuilds has a source change: its plugin is built and rolled out, and who is
// connected stays. A build that fails changes nothing.
func TestDevBuilds(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	plugin, source := filepath.Join(dir, "plugins", "antano-service-tcp"), filepath.Join(dir, "src", "note.txt")
	for _, d := range []string{filepath.Dir(plugin), filepath.Dir(source)} {
		if err := os.Mkdir(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	write := func(text string) {
		if err := os.WriteFile(source, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("one")
	build := fmt.Sprintf("! grep -q wrong %[2]s && cat %[3]s %[2]s > %[1]s.new && chmod +x %[1]s.new && mv %[1]s.new %[1]s",
		plugin, source, testserver.PluginPath(binDir, "tcp"))
	s := start(t, devParams, "--dev", "--build", build, "--watch", filepath.Dir(source), "--plugin-dir", filepath.Dir(plugin))
	eventually(t, "the log to say how to attach a debugger to each process", func() bool {
		return strings.Count(s.stderr.String(), "dlv attach ") >= 2
	})
	c := dial(t, "tcp", s.service("chat").Address)
	id := c.whoami()

	write("two")
	eventually(t, "all processes replaced", func() bool {
		p := s.byID("chat")
		return p[1].Generation == 2 && p[2].Generation == 2 && p[1].State == "ready" && p[2].State == "ready"
	})
	if now := c.whoami(); now != id {
		t.Errorf("the client is %s now, and was %s", now, id)
	}
	built, err := os.ReadFile(plugin)
	if err != nil || !bytes.HasSuffix(built, []byte("two")) {
		t.Fatalf("the plugin was not built from the source: %v", err)
	}

	write("wrong")
	eventually(t, "a build that fails", func() bool { return strings.Contains(s.stderr.String(), "build failed") })
	if p := s.byID("chat"); p[1].Generation != 2 || p[2].Generation != 2 {
		t.Errorf("a failed build changed %+v", p)
	}
	if now := c.whoami(); now != id {
		t.Errorf("the client is %s now, and was %s", now, id)
	}
}

// TestAttach starts a process by hand, as a debugger does, and kills it.
func TestAttach(t *testing.T) {
	t.Parallel()
	s := start(t, devParams, "--dev")
	c := dial(t, "tcp", s.service("chat").Address)
	id := c.whoami()
	plugin := testserver.PluginPath(binDir, "tcp")

	for _, command := range [][]string{{"false"}, {"sh", "-c", "sleep 0"}} {
		s.fails(1, "attach chat/1: failed", append([]string{"plugin", "attach", "chat/1", "--runtime-dir", s.runtimeDir(), "--"}, command...)...)
		if p := s.byID("chat")[1]; p.Generation > 3 || p.State != "ready" {
			t.Errorf("after %v: %+v", command, p)
		}
	}
	before := s.byID("chat")[1]

	// A parent that stays, as a debugger does.
	hand := s.command("plugin", "attach", "chat/1", "--", "sh", "-c", "export HAND=1; setsid "+plugin+" & wait")
	hand.Args = moveFlagsBeforeDash(hand.Args)
	out := &lockedBuffer{}
	hand.Stdout, hand.Stderr = out, out
	if err := hand.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { hand.Process.Kill(); hand.Wait() })
	eventually(t, "the process of the hand to serve", func() bool { return strings.Contains(out.String(), "serves") })
	p := s.byID("chat")[1]
	env, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", p.PID))
	if err != nil || !bytes.Contains(env, []byte("HAND=1")) || p.PID == before.PID || p.State != "ready" {
		t.Fatalf("the process is not the one that was started by hand: %+v, %v\n%s", p, err, out)
	}
	if now := c.whoami(); now != id {
		t.Errorf("the client is %s now, and was %s", now, id)
	}
	eventually(t, "the process of the hand to have a client", func() bool {
		dial(t, "tcp", s.service("chat").Address).whoami()
		return s.byID("chat")[1].Clients > 0
	})

	if err := syscall.Kill(p.PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the process to be started as always", func() bool {
		now := s.byID("chat")[1]
		return now.Generation > p.Generation && now.State == "ready"
	})
	_ = hand.Wait()
	dial(t, "tcp", s.service("chat").Address).whoami()
}

// moveFlagsBeforeDash puts the flags that command appends where they are flags.
func moveFlagsBeforeDash(args []string) []string {
	dash, n := slices.Index(args, "--"), len(args)
	flags := slices.Clone(args[n-2:])
	return slices.Concat(args[:dash], flags, args[dash:n-2])
}

func TestAttachIsForDevelopment(t *testing.T) {
	t.Parallel()
	s := start(t, devParams)
	s.fails(1, "--dev", "plugin", "attach", "chat", "--runtime-dir", s.runtimeDir(), "--", "true")
	s.fails(2, "the command that starts the plugin", "plugin", "attach", "chat")
	if p := s.byID("chat")[1]; p.Generation != 1 {
		t.Errorf("it changed something: %+v", p)
	}
}
