package scaffold

import (
	"go/format"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func project(t *testing.T, kind string) Project {
	return Project{
		Name: "greet", Kind: kind, Module: "example.com/greet", Dir: filepath.Join(t.TempDir(), "new"),
		Checkout: "../../../..", Version: "v0.0.0", Antano: "antano",
	}
}

func TestWrite(t *testing.T) {
	for _, kind := range []string{Handler, Transport} {
		p := project(t, kind)
		files, err := p.Write()
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{".gitignore", "Makefile", "README.md", "go.mod", "go.sum", "main.go", "params.yaml", "service.go", "service_test.go"} {
			if !slices.Contains(files, want) {
				t.Errorf("%s: there is no %s", kind, want)
			}
		}
		for _, name := range files {
			text, err := os.ReadFile(filepath.Join(p.Dir, name))
			if err != nil {
				t.Fatal(err)
			}
			if strings.Contains(string(text), "{{") || strings.Contains(string(text), "<no value>") {
				t.Errorf("%s: %s is not filled in", kind, name)
			}
			if !strings.HasSuffix(name, ".go") {
				continue
			}
			if pretty, err := format.Source(text); err != nil || string(pretty) != string(text) {
				t.Errorf("%s: %s is not as gofmt writes it, %v", kind, name, err)
			}
			if lines := strings.Count(string(text), "\n"); lines > 150 {
				t.Errorf("%s: %s has %d lines, over 150", kind, name, lines)
			}
		}
		if _, err := p.Write(); err == nil || !strings.Contains(err.Error(), "is not empty") {
			t.Errorf("%s: a second project in the directory: %v", kind, err)
		}
	}
}

// TestGoVersion holds the version in go.mod against that of the module it needs.
func TestGoVersion(t *testing.T) {
	mod, err := os.ReadFile("../../../../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	if want := "\ngo " + (Project{}).Go() + "\n"; !strings.Contains(string(mod), want) {
		t.Errorf("antano's go.mod does not say %q", want)
	}
}

func TestCheck(t *testing.T) {
	for name, spoil := range map[string]func(*Project){
		"cannot be a service type": func(p *Project) { p.Name = "Greet" },
		"is built in":              func(p *Project) { p.Name = "tcp" },
		"--kind":                   func(p *Project) { p.Kind = "pigeon" },
		"--module":                 func(p *Project) { p.Module = "a//b" },
	} {
		p := project(t, Handler)
		spoil(&p)
		if _, err := p.Write(); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := os.Stat(p.Dir); err == nil {
			t.Errorf("%s: the directory was made", name)
		}
	}
}

// TestFailedWrite finds nothing of a project that could not be written.
func TestFailedWrite(t *testing.T) {
	p := project(t, Handler)
	p.Checkout = t.TempDir()
	if _, err := p.Write(); err == nil {
		t.Fatal("a checkout without go.sum was used")
	}
	if _, err := os.Stat(p.Dir); err == nil {
		t.Error("the directory is left")
	}
}

func TestCheckout(t *testing.T) {
	root, err := filepath.Abs("../../../..")
	if err != nil {
		t.Fatal(err)
	}
	if got := Checkout(t.TempDir(), filepath.Join(root, "cmd", "antano")); got != root {
		t.Errorf("found %q, want %q", got, root)
	}
	if got := Checkout(t.TempDir()); got != "" {
		t.Errorf("found %q where there is none", got)
	}
}
