package runtimedir

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const stranger = 12345

func asRoot(t *testing.T) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("needs root to give files to another user")
	}
}

// TestUntrustedPaths plants what another user could plant in /tmp. Each is opened
// as user `me`, must be refused, and must leave everything as it was.
func TestUntrustedPaths(t *testing.T) {
	asRoot(t)
	const me = 23456
	for name, c := range map[string]struct {
		plant func(t *testing.T, base string)
		uid   int
		want  string
	}{
		"parent of a stranger": {func(t *testing.T, base string) { mkdir(t, base+"/a", 0o755, stranger) }, me, "belongs to user 12345"},
		"parent for everybody": {func(t *testing.T, base string) { mkdir(t, base+"/a", 0o777, me) }, me, "can be written by everybody"},
		"parent is a link of a stranger": {func(t *testing.T, base string) {
			mkdir(t, base+"/target", 0o700, me)
			link(t, base+"/target", base+"/a", stranger)
		}, me, "is a symbolic link of user 12345"},
		"root through a link of a stranger": {func(t *testing.T, base string) {
			mkdir(t, base+"/target", 0o700, 0)
			link(t, base+"/target", base+"/a", stranger)
		}, 0, "is a symbolic link of user 12345"},
		"parent is a file": {func(t *testing.T, base string) { file(t, base+"/a") }, me, "is not a directory"},
		"a link": {func(t *testing.T, base string) {
			mkdir(t, base+"/a", 0o700, me)
			mkdir(t, base+"/target", 0o700, me)
			link(t, base+"/target", base+"/a/1", me)
		}, me, "is a symbolic link; name the directory"},
		"a stranger's": {func(t *testing.T, base string) {
			mkdir(t, base+"/a", 0o700, me)
			mkdir(t, base+"/a/1", 0o700, stranger)
		}, me, "belongs to user 12345, not to user 23456"},
		"a file": {func(t *testing.T, base string) {
			mkdir(t, base+"/a", 0o700, me)
			file(t, base+"/a/1")
		}, me, "is not a directory"},
		"for the group": {func(t *testing.T, base string) {
			mkdir(t, base+"/a", 0o700, me)
			mkdir(t, base+"/a/1", 0o770, me)
		}, me, "has mode 0770, so others can write there"},
		"full of something else": {func(t *testing.T, base string) {
			mkdir(t, base+"/a", 0o700, me)
			mkdir(t, base+"/a/1", 0o700, me)
			file(t, base+"/a/1/thesis.txt")
		}, me, `holds "thesis.txt" and is none of antano's`},
		"lock is a link": {func(t *testing.T, base string) {
			mkdir(t, base+"/a", 0o700, me)
			mkdir(t, base+"/a/1", 0o700, me)
			file(t, base+"/victim")
			link(t, base+"/victim", base+"/a/1/lock", me)
		}, me, "open lock"},
		"lock of a stranger": {func(t *testing.T, base string) {
			mkdir(t, base+"/a", 0o700, me)
			mkdir(t, base+"/a/1", 0o700, me)
			file(t, base+"/a/1/lock")
		}, me, "is not a file of ours"},
	} {
		t.Run(name, func(t *testing.T) {
			base := shortDir(t)
			c.plant(t, base)
			before := tree(t, base)
			d, err := open(base+"/a/1", c.uid)
			if err == nil {
				d.Close()
			}
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
			if after := tree(t, base); after != before {
				t.Errorf("before:\n%safter:\n%s", before, after)
			}
		})
	}
}

func TestTrustedPaths(t *testing.T) {
	me := os.Getuid()
	base := shortDir(t)
	mkdir(t, base+"/real", 0o755, me)
	link(t, "real", base+"/relative", me)
	link(t, base+"/relative/../real", base+"/absolute", me)
	for _, path := range []string{base + "/relative/1", base + "/absolute/1"} {
		d := mustOpen(t, path)
		if d.Path() != path {
			t.Errorf("path %s", d.Path())
		}
		d.Close()
	}
	mkdir(t, base+"/wide", 0o755, me)
	mustOpen(t, base+"/wide")
	if st, err := os.Stat(base + "/wide"); err != nil || st.Mode().Perm() != 0o700 {
		t.Errorf("an empty directory of ours is not narrowed: %v %v", st.Mode(), err)
	}
	link(t, base+"/loop", base+"/loop", me)
	if _, err := Open(base + "/loop/1"); err == nil || !strings.Contains(err.Error(), "too many symbolic links") {
		t.Errorf("loop: %v", err)
	}
	for _, path := range []string{"/", "relative", ""} {
		if _, err := Open(path); err == nil || !strings.Contains(err.Error(), "absolute path below /") {
			t.Errorf("%q: %v", path, err)
		}
	}
}

func mkdir(t *testing.T, path string, mode os.FileMode, uid int) {
	t.Helper()
	if err := os.Mkdir(path, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
	if err := os.Lchown(path, uid, -1); err != nil {
		t.Fatal(err)
	}
}

func link(t *testing.T, target, path string, uid int) {
	t.Helper()
	if err := os.Symlink(target, path); err != nil {
		t.Fatal(err)
	}
	if err := os.Lchown(path, uid, -1); err != nil {
		t.Fatal(err)
	}
}

func file(t *testing.T, path string) {
	t.Helper()
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
}

func tree(t *testing.T, base string) string {
	t.Helper()
	var b strings.Builder
	err := filepath.Walk(base, func(path string, st os.FileInfo, err error) error {
		if err == nil {
			b.WriteString(st.Mode().String() + " " + path + "\n")
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}
