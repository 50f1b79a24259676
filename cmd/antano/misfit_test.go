package main_test

import (
	"os"
	"path/filepath"
	"testing"
)

// pluginDirs returns flags for a plugin directory that has the plugin of
// testdata/misfit under the given names, beside the real plugins. Each is a file of
// its own checksum, by which the manager remembers descriptions.
func pluginDirs(t *testing.T, names ...string) []string {
	t.Helper()
	image, err := os.ReadFile(filepath.Join(binDir, "misfit"))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for _, name := range names {
		if err := os.WriteFile(filepath.Join(dir, "antano-service-"+name), append(image, name...), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	return []string{"--plugin-dir", dir, "--plugin-dir", filepath.Join(binDir, "plugins")}
}
