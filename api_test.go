package antano_test

import (
	"bytes"
	"flag"
	"fmt"
	"go/ast"
	"go/printer"
	"go/token"
	"os"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the lists of exported names anew")

// public are the packages that third parties import, and where their API is listed.
var public = []struct{ folder, list string }{
	{"plugin", "plugin/api.txt"}, {"plugin/format", "plugin/api.txt"}, {"plugin/plugintest", "plugin/api.txt"},
	{"plugin/socket", "plugin/api.txt"}, {"plugin/web", "plugin/api.txt"}, {"shared", "shared/api.txt"},
}

// TestExportedAPI compares what third parties can use with the lists that were reviewed.
// A line that goes away or changes breaks their builds.
func TestExportedAPI(t *testing.T) {
	all, lists := sources(t), map[string]string{}
	for _, p := range public {
		var lines []string
		for _, s := range all {
			if s.folder == p.folder && !s.test {
				lines = append(lines, exported(t, s)...)
			}
		}
		if len(lines) < 5 {
			t.Fatalf("%s exports %d names; was it renamed?", p.folder, len(lines))
		}
		slices.Sort(lines)
		lists[p.list] += "package " + module + "/" + p.folder + "\n\n" + strings.Join(lines, "\n") + "\n\n"
	}
	for name, want := range lists {
		if *update {
			if err := os.WriteFile(name, []byte(want), 0o644); err != nil {
				t.Fatal(err)
			}
			continue
		}
		got, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		listed := strings.Split(string(got), "\n")
		is := strings.Split(want, "\n")
		if string(got) != want && len(listed) == len(is) {
			t.Errorf("%s is not in order; run make generate", name)
		}
		for _, line := range is {
			if !slices.Contains(listed, line) {
				t.Errorf("%s lacks, run make generate if it is meant: %s", name, line)
			}
		}
		for _, line := range listed {
			if !slices.Contains(is, line) {
				t.Errorf("%s has what is no more, which breaks plugins: %s", name, line)
			}
		}
	}
}

// exported are the exported declarations of a file, one a line.
func exported(t *testing.T, s *source) (lines []string) {
	t.Helper()
	file := *s.ast
	if !ast.FileExports(&file) {
		return nil
	}
	for _, d := range file.Decls {
		switch d := d.(type) {
		case *ast.FuncDecl:
			if d.Recv != nil && !receiver(d).IsExported() {
				continue
			}
			d.Doc, d.Body = nil, nil
			checkSignature(t, s, d.Type)
			lines = append(lines, oneLine(t, d))
		case *ast.GenDecl:
			if d.Tok == token.IMPORT {
				continue
			}
			for _, spec := range d.Specs {
				lines = append(lines, ofSpec(t, s, d.Tok, spec)...)
			}
		}
	}
	return lines
}

func ofSpec(t *testing.T, s *source, kind token.Token, spec ast.Spec) (lines []string) {
	switch spec := spec.(type) {
	case *ast.TypeSpec:
		checkSignature(t, s, spec.Type)
		var members *ast.FieldList
		shell := *spec
		shell.Doc, shell.Comment = nil, nil
		switch typ := spec.Type.(type) {
		case *ast.StructType:
			members, shell.Type = typ.Fields, &ast.StructType{Fields: &ast.FieldList{}}
		case *ast.InterfaceType:
			members, shell.Type = typ.Methods, &ast.InterfaceType{Methods: &ast.FieldList{}}
		}
		lines = append(lines, "type "+oneLine(t, &shell))
		if members == nil {
			return lines
		}
		for _, m := range members.List {
			tag := ""
			if m.Tag != nil {
				tag = " " + m.Tag.Value
			}
			text := oneLine(t, m.Type)
			if len(m.Names) == 0 {
				lines = append(lines, fmt.Sprintf("type %s: %s", spec.Name.Name, text))
			}
			for _, name := range m.Names {
				lines = append(lines, fmt.Sprintf("type %s: %s %s%s", spec.Name.Name, name.Name, text, tag))
			}
		}
	case *ast.ValueSpec:
		typ := ""
		if spec.Type != nil {
			typ = " " + oneLine(t, spec.Type)
			checkSignature(t, s, spec.Type)
		}
		for _, name := range spec.Names {
			lines = append(lines, kind.String()+" "+name.Name+typ)
		}
	}
	return lines
}

var spaces = regexp.MustCompile(`\s+`)

func oneLine(t *testing.T, n any) string {
	t.Helper()
	var b bytes.Buffer
	if err := printer.Fprint(&b, token.NewFileSet(), n); err != nil {
		t.Fatal(err)
	}
	return spaces.ReplaceAllString(b.String(), " ")
}

// checkSignature finds types of packages that a third party is not to depend on.
func checkSignature(t *testing.T, s *source, typ ast.Node) {
	t.Helper()
	for _, bad := range foreign(s, typ) {
		t.Errorf("%s: an exported signature has a type of %s", s.at(typ.Pos()), bad)
	}
}

// foreign are the packages of types in n that are neither the standard library's nor public
// ones of ours.
func foreign(s *source, n ast.Node) (bad []string) {
	ast.Inspect(n, func(n ast.Node) bool {
		sel, ok := n.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		x, ok := sel.X.(*ast.Ident)
		if !ok {
			return true
		}
		for _, i := range s.ast.Imports {
			imported, _ := strconv.Unquote(i.Path.Value)
			name := path.Base(imported)
			if i.Name != nil {
				name = i.Name.Name
			}
			if name != x.Name {
				continue
			}
			first, _, _ := strings.Cut(imported, "/")
			ours := strings.HasPrefix(imported, module+"/") && !strings.Contains(imported, "/internal/")
			if strings.Contains(first, ".") && (!ours || strings.HasSuffix(imported, "pb")) {
				bad = append(bad, imported)
			}
		}
		return true
	})
	return bad
}

// TestForeignTypesAreFound is the test of that.
func TestForeignTypesAreFound(t *testing.T) {
	for imported, want := range map[string]int{
		"net": 0, module + "/shared": 0, "google.golang.org/grpc": 1, goPlugin: 1, sys + "/unix": 1,
		module + "/plugin/internal/hub": 1, module + "/shared/pluginpb": 1,
	} {
		s, err := parse("plugin/a.go", fmt.Sprintf("package plugin\nimport x %q\nfunc F(*x.T) error { return nil }", imported))
		if err != nil {
			t.Fatal(err)
		}
		if got := len(foreign(s, s.ast.Decls[1].(*ast.FuncDecl).Type)); got != want {
			t.Errorf("%s: %d found, want %d", imported, got, want)
		}
	}
}
