package main_test

import (
	"crypto/sha256"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/antano/antano/internal/testserver"
)

// TestPluginLock pins the plugins of a directory: what has changed or was added is
// refused, by a server that runs too, and what others can write is refused anyway.
func TestPluginLock(t *testing.T) {
	t.Parallel()
	flags := pluginDirs(t, "probe", "echoes")
	dir := flags[1]
	lock := func() {
		t.Helper()
		if out, errs, code := antano(t, "", "plugin", "lock", "--plugin-dir", dir); code != 0 || !strings.Contains(out, "plugins.lock: ") {
			t.Fatalf("exit %d: %s%s", code, out, errs)
		}
	}
	if err := os.Remove(filepath.Join(dir, "antano-service-echoes")); err != nil {
		t.Fatal(err)
	}
	lock()
	if sums, err := exec.LookPath("sha256sum"); err == nil {
		check := exec.Command(sums, "-c", "plugins.lock")
		check.Dir = dir
		if out, err := check.CombinedOutput(); err != nil {
			t.Errorf("sha256sum: %v %s", err, out)
		}
	}
	s := start(t, "service_type: [{name: probe}]\nactive_service: [{id: 9, service_type: probe, processes: 1}]\n", flags...)
	pid := s.service("probe").Processes[0].PID

	probe := filepath.Join(dir, "antano-service-probe")
	image, err := os.ReadFile(probe)
	if err != nil {
		t.Fatal(err)
	}
	exchange := func(more string) {
		t.Helper()
		if err := os.WriteFile(probe+".next", append(image, more...), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(probe+".next", probe); err != nil {
			t.Fatal(err)
		}
	}
	refused := func(says string, args ...string) {
		t.Helper()
		out, errs, code := antano(t, "", args...)
		if code != 78 || !strings.Contains(errs, says) {
			t.Errorf("%v: exit %d, without %q: %s%s", args, code, says, out, errs)
		}
	}
	validate := append([]string{"validate", "--params", s.Params, "--runtime-dir", s.runtimeDir()}, flags...)
	reload := []string{"reload", "--runtime-dir", s.runtimeDir()}
	exchange("changed")
	refused("has changed: its sha256 is ", validate...)
	refused("antano plugin lock --plugin-dir "+dir, reload...)
	refused("has changed", append([]string{"plugin", "describe", "probe"}, flags...)...)
	refused("has changed", append([]string{"run", "--params", s.Params, "--runtime-dir", filepath.Join(t.TempDir(), "r")}, flags...)...)
	if got := s.service("probe").Processes[0]; got.PID != pid || got.State != "ready" {
		t.Errorf("the process that ran is %+v", got)
	}
	lock()
	if out, errs, code := antano(t, "", validate...); code != 0 {
		t.Errorf("after a new lock: exit %d: %s%s", code, out, errs)
	}
	if err := os.WriteFile(filepath.Join(dir, "plugins.lock"), []byte(strings.Repeat("00", 32)+"  antano-service-other\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	refused("is not in ", validate...)
	if err := os.Remove(filepath.Join(dir, "plugins.lock")); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(probe, 0o722); err != nil {
		t.Fatal(err)
	}
	refused("can be written by others", validate...)
	if err := os.Chmod(probe, 0o700); err != nil {
		t.Fatal(err)
	}
	if out, errs, code := antano(t, "", validate...); code != 0 {
		t.Errorf("nothing is wrong any more: exit %d: %s%s", code, out, errs)
	}
	if _, errs, code := antano(t, "", "plugin", "lock"); code != 2 {
		t.Errorf("without a directory: exit %d: %s", code, errs)
	}
}

// TestPluginListShowsWhatPluginsAre reads the table, whose sums are those of the files.
func TestPluginListShowsWhatPluginsAre(t *testing.T) {
	t.Parallel()
	image, err := os.ReadFile(testserver.PluginPath(binDir, "tcp"))
	if err != nil {
		t.Fatal(err)
	}
	sum := fmt.Sprintf("%x", sha256.Sum256(image))
	if out, errs, code := antano(t, "", "plugin", "describe", "tcp"); code != 0 || !strings.Contains(out, sum) {
		t.Errorf("describe: exit %d, without %s: %s%s", code, sum, out, errs)
	}
	out, errs, code := antano(t, "", "plugin", "list")
	for _, says := range []string{"hand-over,send", "json,msgpack,text,binary", "handle", "prefix", "SHA256", sum[:12]} {
		if code != 0 || !strings.Contains(out, says) {
			t.Errorf("exit %d, without %s: %s%s", code, says, out, errs)
		}
	}
}
