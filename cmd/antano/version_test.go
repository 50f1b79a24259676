package main_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestPluginOfTwoVersions uses a plugin that speaks a later version too with the version
// that both speak.
func TestPluginOfTwoVersions(t *testing.T) {
	t.Parallel()
	flags := pluginDirs(t, "both")
	if out, errs, code := antano(t, "", append([]string{"plugin", "describe", "both"}, flags...)...); code != 0 || !strings.Contains(out, "antano-service-both") {
		t.Errorf("describe: exit %d\n%s%s", code, out, errs)
	}
	startMisfit(t, "both").othersServe()
}

// TestPluginOfAnotherVersion refuses what speaks none of our versions, with a sentence that
// names both and says what to change, whoever looks at it.
func TestPluginOfAnotherVersion(t *testing.T) {
	t.Parallel()
	flags := pluginDirs(t, "later", "parting")
	file := filepath.Join(t.TempDir(), "params.yaml")
	rows := "active_service: [{id: 1, service_type: later}, {id: 2, service_type: parting}]\nservice_type: [{name: later}, {name: parting}]\n"
	if err := os.WriteFile(file, []byte(rows), 0o600); err != nil {
		t.Fatal(err)
	}
	says := map[string]string{
		"later":   "it speaks version 2 of the plugin protocol, this antano 1; install a plugin for version 1, or an antano that speaks 2",
		"parting": "this plugin speaks version 2 of the plugin protocol; use an antano that speaks 2",
	}
	check := func(want int, kinds []string, args ...string) {
		t.Helper()
		out, errs, code := antano(t, "", args...)
		if code != want {
			t.Errorf("%s: exit %d, want %d", args, code, want)
		}
		for _, kind := range kinds {
			if !strings.Contains(out+errs, says[kind]) {
				t.Errorf("%s does not say %q:\n%s%s", args, says[kind], out, errs)
			}
		}
	}
	common := append(flags, "--params", file, "--runtime-dir", filepath.Join(t.TempDir(), "r"))
	both := []string{"later", "parting"}
	check(78, both, append([]string{"validate"}, common...)...)
	check(78, both, append([]string{"run"}, common...)...)
	for _, kind := range both {
		check(78, []string{kind}, append([]string{"plugin", "describe", kind}, flags...)...)
		check(1, []string{kind}, "plugin", "test", filepath.Join(flags[1], "antano-service-"+kind)) // the verdict on its point handshake
	}
}
