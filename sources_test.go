// Package antano_test checks the whole tree: who may import whom, and the habits
// that a reader relies on. It parses files instead of asking `go list`, so that the
// test cache sees every edit.
package antano_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"
)

const module = "github.com/antano/antano"

// source is one Go file of the module.
type source struct {
	name   string // relative to the root
	folder string // "." for the root
	test   bool
	ast    *ast.File
	fset   *token.FileSet
}

func (s *source) at(pos token.Pos) string { return s.fset.Position(pos).String() }

func (s *source) generated() bool { return ast.IsGenerated(s.ast) }

// sources parses the module, without folders that are modules of their own.
func sources(t *testing.T) []*source {
	t.Helper()
	var all []*source
	err := filepath.WalkDir(".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir():
			if name == "." {
				return nil
			}
			if d.Name() == "testdata" || strings.HasPrefix(d.Name(), ".") || isModule(name) {
				return fs.SkipDir
			}
			return nil
		case !strings.HasSuffix(name, ".go"):
			return nil
		}
		text, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		s, err := parse(name, string(text))
		if err != nil {
			return err
		}
		all = append(all, s)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(all) < 20 {
		t.Fatalf("only %d Go files found; run this test in the root of the module", len(all))
	}
	return all
}

func parse(name, text string) (*source, error) {
	fset := token.NewFileSet()
	file, err := parser.ParseFile(fset, name, text, parser.ParseComments)
	if err != nil {
		return nil, err
	}
	name = filepath.ToSlash(name)
	return &source{name: name, folder: path.Dir(name), test: strings.HasSuffix(name, "_test.go"), ast: file, fset: fset}, nil
}

func isModule(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, "go.mod"))
	return err == nil
}
