package antano_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

const units = "contrib/systemd"

// TestUnits has systemd check the examples, where it is installed, with a binary that is
// there in the place of ours.
func TestUnits(t *testing.T) {
	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Skip("systemd-analyze is not installed")
	}
	dir := t.TempDir()
	files, err := filepath.Glob(units + "/antano.*")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	args := []string{"--man=no", "--recursive-errors=no", "verify"}
	for _, file := range files {
		text := strings.ReplaceAll(document(t, file), "/usr/local/bin/antano", "/bin/true")
		copied := filepath.Join(dir, filepath.Base(file))
		if err := os.WriteFile(copied, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		args = append(args, copied)
	}
	if out, err := exec.Command(analyze, args...).CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("systemd-analyze: %v\n%s", err, out)
	}
}

// TestUnitSettings holds the service to what docs/operating.md relies on.
func TestUnitSettings(t *testing.T) {
	set := map[string]bool{}
	for line := range strings.Lines(document(t, units+"/antano.service")) {
		set[strings.TrimSpace(line)] = true
	}
	for _, line := range []string{
		"Type=notify", "NotifyAccess=main", "KillMode=process", "OOMPolicy=continue", "RuntimeDirectoryPreserve=restart", "Restart=always",
		"RestartPreventExitStatus=2 78", "WatchdogSec=30s", "LimitNOFILE=1048576",
		"ExecReload=/usr/local/bin/antano reload --runtime-dir /run/antano/1",
	} {
		if !set[line] {
			t.Errorf("%s/antano.service has no %s", units, line)
		}
	}
}
