package catalog

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestTrust changes modes and owners on the way to a plugin, which must not be.
func TestTrust(t *testing.T) {
	uid := os.Geteuid()
	for _, tc := range []struct {
		name  string
		spoil func(dir, file string) error
		want  string // "" is trusted
	}{
		{"as built", nil, ""},
		{"file for the group", func(_, file string) error { return os.Chmod(file, 0o775) }, "can be written by others (mode 0775)"},
		{"file for all", func(_, file string) error { return os.Chmod(file, 0o757) }, "can be written by others (mode 0757)"},
		{"directory for the group", func(dir, _ string) error { return os.Chmod(dir, 0o775) }, "directory "},
		{"directory for all", func(dir, _ string) error { return os.Chmod(dir, 0o777) }, "directory "},
		{"sticky directory", func(dir, _ string) error { return os.Chmod(dir, 0o777|os.ModeSticky) }, ""},
		{"parent for all", func(dir, _ string) error { return os.Chmod(filepath.Dir(dir), 0o777) }, "directory "},
		{"parent for the group", func(dir, _ string) error { return os.Chmod(filepath.Dir(dir), 0o775) }, ""},
		{"link into a bad directory", func(dir, file string) error {
			bad := filepath.Join(filepath.Dir(dir), "bad")
			return errors.Join(os.Mkdir(bad, 0o755), os.Rename(file, filepath.Join(bad, "x")), os.Chmod(bad, 0o777), os.Symlink(filepath.Join(bad, "x"), file))
		}, "bad can be written by others"},
		{"file of another", func(_, file string) error { return os.Chown(file, 12345, -1) }, "belongs to user 12345"},
		{"directory of another", func(dir, _ string) error { return os.Chown(dir, 12345, -1) }, "belongs to user 12345"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if strings.HasSuffix(tc.name, "of another") && uid != 0 {
				t.Skip("only root can give files away")
			}
			dir := filepath.Join(t.TempDir(), "plugins")
			if err := os.Mkdir(dir, 0o755); err != nil {
				t.Fatal(err)
			}
			file := write(t, dir, "antano-service-x", script, 0o755)
			if tc.spoil != nil {
				if err := tc.spoil(dir, file); err != nil {
					t.Fatal(err)
				}
			}
			err := trusted(file, uid)
			if tc.want == "" && err != nil || tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)) {
				t.Errorf("got %v, want %q", err, tc.want)
			}
			if _, found := Lookup([]string{dir}, "x"); (found == nil) != (tc.want == "") {
				t.Errorf("looked up: %v", found)
			}
		})
	}
}
