package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/antano/antano/bench/internal/page"
	"github.com/antano/antano/bench/internal/result"
)

// build builds antano and its plugins, as `make build` does.
func build(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for out, pkg := range map[string]string{"antano": "./cmd/antano", "plugins/antano-service-tcp": "./plugins/tcp",
		"plugins/antano-service-udp": "./plugins/udp", "plugins/antano-service-unix": "./plugins/unix"} {
		cmd := exec.Command("go", "build", "-trimpath", "-buildvcs=false", "-o", filepath.Join(dir, out), pkg)
		cmd.Dir = ".."
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("build %s: %v\n%s", pkg, err, out)
		}
	}
	return filepath.Join(dir, "antano")
}

// Every work runs with the smallest load, leaves figures, and these make a page.
func TestWorks(t *testing.T) {
	bin := build(t)
	var all result.Run
	for _, w := range works() {
		if w.name == "restart" {
			continue // takes seconds, and has tests of its own
		}
		t.Run(w.name, func(t *testing.T) {
			b := newBench(bin, 1, tiny)
			defer func() {
				if err := b.close(); err != nil {
					t.Error(err)
				}
			}()
			if err := w.run(b, t.Context()); err != nil {
				t.Fatal(err)
			}
			if len(b.run.Table.Rows) == 0 {
				t.Fatal("no figures")
			}
			for _, r := range b.run.Table.Rows {
				if len(r.Values) == 0 {
					t.Errorf("%s, %s has no values", r.Work, r.Figure)
				}
			}
			all.Table.Rows = append(all.Table.Rows, b.run.Table.Rows...)
		})
	}
	all.Judge()
	var text bytes.Buffer
	if err := all.Text(&text); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := page.Write(dir, &all); err != nil {
		t.Fatal(err)
	}
	md, err := os.ReadFile(filepath.Join(dir, "benchmarks.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"relay one way to the bare relay", "benchmarks/relay.svg", "benchmarks/end-to-end.svg"} {
		if !strings.Contains(string(md), want) {
			t.Errorf("the page does not have %q", want)
		}
	}
}

// The page that is kept is that of the result beside it.
func TestPageIsOfItsResult(t *testing.T) {
	r, err := result.Load("../docs/benchmarks/result.json")
	if err != nil {
		t.Fatal(err)
	}
	want, err := page.Markdown(r)
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile("../docs/benchmarks.md")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Error("docs/benchmarks.md is not what its result.json makes: go run . -from ../docs/benchmarks/result.json -docs ../docs")
	}
}
