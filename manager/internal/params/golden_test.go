package params

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"testing"
)

var update = flag.Bool("update", false, "write the golden files")

// TestGoodFiles holds every file in testdata/good to the params it means.
func TestGoodFiles(t *testing.T) {
	for _, file := range files(t, "good") {
		t.Run(filepath.Base(file), func(t *testing.T) {
			p, err := Load(file)
			if err != nil {
				t.Fatal(err)
			}
			got, err := json.MarshalIndent(p, "", "  ")
			if err != nil {
				t.Fatal(err)
			}
			compare(t, file+".golden", string(got)+"\n")
		})
	}
}

// TestBadFiles holds every file in testdata/bad to all that is said of it.
func TestBadFiles(t *testing.T) {
	for _, file := range files(t, "bad") {
		t.Run(filepath.Base(file), func(t *testing.T) {
			_, err := Load(file)
			if _, ok := err.(Errors); !ok {
				t.Fatalf("got %v, want Errors", err)
			}
			compare(t, file+".golden", err.Error()+"\n")
		})
	}
}

func files(t *testing.T, dir string) (inputs []string) {
	t.Helper()
	for _, ext := range []string{"*.yaml", "*.json"} {
		found, err := filepath.Glob(filepath.Join("testdata", dir, ext))
		if err != nil {
			t.Fatal(err)
		}
		inputs = append(inputs, found...)
	}
	if len(inputs) == 0 {
		t.Fatalf("no files in testdata/%s", dir)
	}
	return inputs
}

func compare(t *testing.T, golden, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatalf("%v (run with -update once, then read what it wrote)", err)
	}
	if got != string(want) {
		t.Errorf("differs from %s\n--- got\n%s--- want\n%s", golden, got, want)
	}
}
