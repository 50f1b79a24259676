package catalog

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func pinned(t *testing.T, path string) error {
	t.Helper()
	b, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	return b.Pinned()
}

func TestPins(t *testing.T) {
	dir := t.TempDir()
	if _, _, err := Pin(dir); err == nil {
		t.Error("an empty directory was pinned")
	}
	a, b := write(t, dir, "antano-service-a", script, 0o755), write(t, dir, "antano-service-b", script, 0o755)
	if err := pinned(t, a); err != nil {
		t.Errorf("nothing is pinned, and yet %v", err)
	}
	file, all, err := Pin(dir)
	if err != nil || len(all) != 2 || file != filepath.Join(dir, "plugins.lock") {
		t.Fatalf("%s, %v, %v", file, all, err)
	}
	for _, path := range []string{a, b} {
		if err := pinned(t, path); err != nil {
			t.Error(err)
		}
	}
	write(t, dir, "antano-service-b", script+"exit\n", 0o755)
	c := write(t, dir, "antano-service-c", script, 0o755)
	for path, want := range map[string]string{a: "", b: "has changed: its sha256 is ", c: "is not in "} {
		if err := pinned(t, path); (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", path, err, want)
		}
	}
	if _, all, err := Pin(dir); err != nil || len(all) != 3 {
		t.Fatalf("again: %v, %v", all, err)
	}
	if err := pinned(t, b); err != nil {
		t.Error(err)
	}
	names, err := filepath.Glob(filepath.Join(dir, "plugins.lock*"))
	if err != nil || len(names) != 1 {
		t.Errorf("there are %v, %v", names, err)
	}
	write(t, dir, PinsFile, "nonsense\n", 0o644)
	if err := pinned(t, a); err == nil || !strings.Contains(err.Error(), "plugins.lock:1: ") {
		t.Errorf("nonsense is read as %v", err)
	}
	if err := os.Chmod(file, 0o666); err != nil {
		t.Fatal(err)
	}
	if err := pinned(t, a); err == nil || !strings.Contains(err.Error(), "can be written by others") {
		t.Errorf("pins that others can write: %v", err)
	}
}

// FuzzPins reads any line.
func FuzzPins(f *testing.F) {
	f.Add(strings.Repeat("0a", 32) + "  antano-service-x")
	f.Add("  ")
	f.Fuzz(func(t *testing.T, line string) {
		p := pins{}
		if err := p.add(line); err == nil {
			for name, sum := range p {
				if !strings.EqualFold(sum.String()+"  "+name, line) {
					t.Errorf("%q became %s %s", line, sum, name)
				}
			}
		}
	})
}
