package catalog

import (
	"crypto/sha256"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/antano/antano/shared"
)

func write(t *testing.T, dir, name, content string, mode os.FileMode) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(content), mode); err != nil {
		t.Fatal(err)
	}
	return path
}

const script = "#!/bin/sh\n"

// alien is an ELF header for a machine that this one is not.
func alien() string {
	machine := "\xb7" // AArch64
	if runtime.GOARCH == "arm64" {
		machine = "\x3e"
	}
	return "\x7fELF\x02\x01\x01" + strings.Repeat("\x00", 9) + "\x02\x00" + machine + "\x00\x01\x00\x00\x00" + strings.Repeat("\x00", 40)
}

func TestFind(t *testing.T) {
	one, two := t.TempDir(), t.TempDir()
	udp := write(t, one, "antano-service-udp", script, 0o755)
	write(t, one, "antano-service-tcp", script, 0o644)
	tcp := write(t, two, "antano-service-tcp", script, 0o755)
	write(t, two, "antano-service-udp", script, 0o755)
	bad := write(t, two, "antano-service-zzz", alien(), 0o755)
	write(t, two, "antano-service-", script, 0o755)
	write(t, two, "README", "", 0o644)

	got, err := Find([]string{one, filepath.Join(one, "missing"), two})
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != 3 || got[0].Path != tcp || got[1].Path != udp || got[2].Path != bad {
		t.Fatalf("found %+v", got)
	}
	if got[0].Problem != nil || got[1].Problem != nil || got[2].Problem == nil {
		t.Errorf("problems %v, %v, %v", got[0].Problem, got[1].Problem, got[2].Problem)
	}
	if _, err := Find([]string{udp}); err == nil {
		t.Error("a file was searched as a directory")
	}
}

func TestLookup(t *testing.T) {
	empty, dir, later := t.TempDir(), t.TempDir(), t.TempDir()
	write(t, dir, "antano-service-plain", script, 0o640)
	write(t, dir, "antano-service-alien", alien(), 0o755)
	write(t, dir, "antano-service-both", script, 0o640)
	both := write(t, later, "antano-service-both", script, 0o755)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(self, filepath.Join(later, "antano-service-elf")); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, "antano-service-dir"), 0o755); err != nil {
		t.Fatal(err)
	}
	missing := filepath.Join(dir, "nowhere")
	dirs := []string{empty, missing, dir, later}

	for typ, want := range map[string]string{"both": both, "elf": filepath.Join(later, "antano-service-elf")} {
		if p, err := Lookup(dirs, typ); err != nil || p.Path != want || p.Type != typ {
			t.Errorf("%s: %+v, %v", typ, p, err)
		}
	}
	for typ, says := range map[string][]string{
		"none":   {"antano-service-none", empty, missing, dir, later, "--plugin-dir", "cannot be searched"},
		"plain":  {"not executable", "mode 0640", "owner "},
		"alien":  {"another machine", runtime.GOARCH},
		"dir":    {"is a directory"},
		"":       {"cannot be a service type"},
		"../tcp": {"cannot be a service type"},
	} {
		_, err := Lookup(dirs, typ)
		if !errors.Is(err, ErrNotFound) {
			t.Errorf("%s: %v", typ, err)
			continue
		}
		for _, s := range says {
			if !strings.Contains(err.Error(), s) {
				t.Errorf("%s: %q does not say %q", typ, err, s)
			}
		}
	}
	if _, err := Lookup(nil, "tcp"); !errors.Is(err, ErrNotFound) || !strings.Contains(err.Error(), "--plugin-dir") {
		t.Errorf("without directories: %v", err)
	}
}

func TestDefaultDirs(t *testing.T) {
	t.Setenv("ANTANO_PLUGIN_DIR", "/opt/plugins")
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	got := DefaultDirs()
	if len(got) != 2 || got[0] != filepath.Join(filepath.Dir(self), "plugins") || got[1] != "/opt/plugins" {
		t.Errorf("%q", got)
	}
	t.Setenv("ANTANO_PLUGIN_DIR", "")
	if got := DefaultDirs(); len(got) != 1 {
		t.Errorf("%q", got)
	}
}

func TestBinary(t *testing.T) {
	dir := t.TempDir()
	path := write(t, dir, "p", "content", 0o755)
	b, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if b.Sum != sha256.Sum256([]byte("content")) || len(b.Sum.String()) != 64 {
		t.Errorf("sum %v", b.Sum)
	}
	if b.Changed() {
		t.Error("it changed by itself")
	}
	if err := os.Chtimes(path, time.Time{}, time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	if !b.Changed() {
		t.Error("a newer file was not seen")
	}
	if err := os.Rename(write(t, dir, "q", "content", 0o755), path); err != nil {
		t.Fatal(err)
	}
	if !b.Changed() {
		t.Error("another file was not seen")
	}
	os.Remove(path)
	if !b.Changed() {
		t.Error("a missing file was not seen")
	}
	for _, bad := range []string{dir, path} {
		if _, err := Open(bad); err == nil {
			t.Errorf("%s was opened", bad)
		}
	}
}

func TestCache(t *testing.T) {
	var c Cache
	broken := errors.New("broken")
	if _, err := c.Describe(&Binary{Path: "/p", Sum: Sum{1}}, func() (shared.Description, error) { return shared.Description{}, broken }); !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
	var mu sync.Mutex
	calls := map[byte]int{}
	var wg sync.WaitGroup
	for i := range 20 {
		wg.Go(func() {
			sum := Sum{byte(1 + i%2)}
			d, err := c.Describe(&Binary{Path: "/p", Sum: sum}, func() (shared.Description, error) {
				mu.Lock()
				defer mu.Unlock()
				calls[sum[0]]++
				return shared.Description{Name: string('a' + rune(sum[0]))}, nil
			})
			if err != nil || d.Name != string('a'+rune(sum[0])) {
				t.Errorf("%v: %+v, %v", sum[0], d, err)
			}
		})
	}
	wg.Wait()
	if calls[1] != 1 || calls[2] != 1 {
		t.Errorf("calls %v", calls)
	}
}
