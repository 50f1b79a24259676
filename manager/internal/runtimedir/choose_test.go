package runtimedir

import (
	"path/filepath"
	"strings"
	"testing"
)

func TestChoose(t *testing.T) {
	xdg := t.TempDir()
	here, err := filepath.Abs("x")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		flag string
		uid  int
		xdg  string
		want string
	}{
		{"/srv/a", 0, xdg, "/srv/a"},
		{"/srv//a/", 1000, xdg, "/srv/a"},
		{"x", 1000, xdg, here},
		{"", 0, xdg, "/run/antano/7"},
		{"", 1000, xdg, xdg + "/antano/7"},
		{"", 1000, "", "/tmp/antano-1000/7"},
		{"", 1000, xdg + "/missing", "/tmp/antano-1000/7"},
		{"", 1000, "relative", "/tmp/antano-1000/7"},
	} {
		if got, err := choose(c.flag, 7, c.uid, c.xdg); err != nil || got != c.want {
			t.Errorf("choose(%q, uid %d, xdg %q) = %q, %v; want %q", c.flag, c.uid, c.xdg, got, err, c.want)
		}
	}
}

func TestLongPathIsRefusedBeforeAnythingIsMade(t *testing.T) {
	base := t.TempDir()
	for n, ok := range map[int]bool{84: true, 85: false} {
		path := base + "/" + strings.Repeat("x", n-len(base)-1)
		d, err := Open(path)
		if ok && err != nil {
			t.Errorf("%d bytes: %v", n, err)
		}
		if !ok && (err == nil || !strings.Contains(err.Error(), "choose a --runtime-dir of at most 84 bytes")) {
			t.Errorf("%d bytes: %v", n, err)
		}
		if err == nil {
			if n := len(d.Socket(longest)); n != maxSocketPath {
				t.Errorf("the longest socket path has %d bytes", n)
			}
			d.Close()
		}
		checkEmpty(t, base)
	}
}
