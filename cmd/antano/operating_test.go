package main_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestOperating runs the commands of docs/operating.md.
func TestOperating(t *testing.T) {
	s := start(t, oneTCP)
	for _, b := range blocks(t, "operating.md", "<!-- run -->\n```sh\n(.*?)```") {
		for line := range strings.Lines(b[1]) {
			cmd := exec.Command("sh", "-c", strings.ReplaceAll(line, "/run/antano/1", s.runtimeDir()))
			cmd.Env = append(os.Environ(), "PATH="+binDir+":"+os.Getenv("PATH"))
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("%s: %v\n%s", line, err, out)
			}
		}
	}
}

// TestOperatingParams validates the params in docs/operating.md.
func TestOperatingParams(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("they are for root")
	}
	for _, b := range blocks(t, "operating.md", "```yaml\n(.*?)```") {
		s := newServer(t, b[1])
		makeReachable(t, s.dir)
		if _, stderr, code := antano(t, "", "validate", "--params", s.Params, "--runtime-dir", filepath.Join(s.dir, "run"), "-a", "127.0.0.1"); code != 0 {
			t.Errorf("exit %d: %s", code, stderr)
		}
	}
}
