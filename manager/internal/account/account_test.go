package account

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestLookup(t *testing.T) {
	root, err := Lookup("root", "")
	if err != nil || root.UID != 0 || root.GID != 0 || root.Name != "root" || root.Home == "" {
		t.Errorf("root is %+v, %v", root, err)
	}
	if byID, err := Lookup("0", ""); err != nil || byID.Name != "root" {
		t.Errorf("0 is %+v, %v", byID, err)
	}
	if other, err := Lookup("root", "4294967000"); err != nil || other.GID != 4294967000 {
		t.Errorf("root with another group is %+v, %v", other, err)
	}
	nobody, err := Lookup("4294960001", "4294960002")
	if err != nil || nobody.UID != 4294960001 || nobody.GID != 4294960002 || nobody.Groups != nil || nobody.Name != "" {
		t.Errorf("an id without an entry is %+v, %v", nobody, err)
	}
	for _, wrong := range [][2]string{{"no such user", ""}, {"4294960001", ""}, {"root", "no such group"}, {"4294960001", "no such group"}} {
		if a, err := Lookup(wrong[0], wrong[1]); err == nil || !strings.Contains(err.Error(), "is not known") {
			t.Errorf("%q is %+v, %v", wrong, a, err)
		}
	}
}

func TestPermissions(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "f")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	me := Account{UID: uint32(os.Getuid()), GID: uint32(os.Getgid())}
	group := Account{UID: me.UID + 1000, GID: me.GID + 1000, Groups: []uint32{me.GID}}
	other := Account{UID: me.UID + 1000, GID: me.GID + 1000}
	for _, c := range []struct {
		mode              os.FileMode
		own, group, other bool
	}{{0o600, false, false, false}, {0o700, true, false, false}, {0o710, true, true, false}, {0o701, true, false, true}, {0o755, true, true, true}} {
		if err := os.Chmod(file, c.mode); err != nil {
			t.Fatal(err)
		}
		for who, want := range map[*Account]bool{&me: c.own, &group: c.group, &other: c.other} {
			if err := who.MayExecute(file); (err == nil) != want {
				t.Errorf("mode %o, uid %d: %v", c.mode, who.UID, err)
			}
		}
	}
	if err := other.MayEnter("/"); err != nil {
		t.Error(err)
	}
	if err := os.Chmod(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(t.TempDir(), "l")
	if err := os.Symlink(dir, link); err != nil {
		t.Fatal(err)
	}
	if err := me.MayEnter(link); err != nil {
		t.Error(err)
	}
	if err := other.MayEnter(link); err == nil {
		t.Errorf("%s can be entered by everybody", dir)
	}
	if err := me.MayEnter(file); err == nil {
		t.Error("a file can be entered")
	}
}
