package executable

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestCheck(t *testing.T) {
	dir := t.TempDir()
	file := func(name string, mode os.FileMode) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, nil, mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for path, says := range map[string]string{
		file("plain", 0o644): "is not executable (mode 0644, owner ",
		file("owner", 0o500): "",
		file("other", 0o601): "",
		dir:                  "is a directory",
		os.DevNull:           "is not a regular file",
	} {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		switch err := Check(path, info); {
		case says == "" && err != nil:
			t.Error(err)
		case says != "" && (err == nil || !strings.HasPrefix(err.Error(), path+" "+says)):
			t.Errorf("%v, want %s %s", err, path, says)
		}
	}
}
