package antano_test

import (
	"bytes"
	"go/ast"
	"go/token"
	"os"
	"regexp"
	"strings"
	"testing"
)

func TestPackagesHaveADoc(t *testing.T) {
	documented := map[string]bool{}
	for _, s := range sources(t) {
		if !s.test && !s.generated() {
			documented[s.folder] = documented[s.folder] || s.ast.Doc != nil
		}
	}
	for folder, ok := range documented {
		if !ok {
			t.Errorf("package in %s has no doc comment", folder)
		}
	}
}

// TestExportedNames asks for a comment at every exported name outside of main
// packages, and logs how many there are: the aim is few.
func TestExportedNames(t *testing.T) {
	count := map[string]int{}
	for _, s := range sources(t) {
		if s.test || s.generated() || s.ast.Name.Name == "main" {
			continue
		}
		for _, d := range s.ast.Decls {
			for _, name := range uncommented(d, func() { count[s.folder]++ }) {
				t.Errorf("%s: exported %s has no comment", s.at(name.Pos()), name.Name)
			}
		}
	}
	for folder, aim := range map[string]int{"plugin": 20, "shared": 30, "manager": 20} {
		t.Logf("%s has %d exported names; the aim is %d", folder, count[folder], aim)
	}
}

// uncommented returns the exported names of a declaration that no comment explains:
// its own, or that of its group. Methods are looked at and not counted.
func uncommented(d ast.Decl, count func()) (bare []*ast.Ident) {
	look := func(name *ast.Ident, docs ...*ast.CommentGroup) {
		for _, doc := range docs {
			if doc != nil {
				return
			}
		}
		bare = append(bare, name)
	}
	switch d := d.(type) {
	case *ast.FuncDecl:
		if !d.Name.IsExported() || d.Recv != nil && !receiver(d).IsExported() || wellKnown[d.Name.Name] && d.Recv != nil {
			return nil
		}
		if d.Recv == nil {
			count()
		}
		look(d.Name, d.Doc)
	case *ast.GenDecl:
		for _, spec := range d.Specs {
			switch spec := spec.(type) {
			case *ast.TypeSpec:
				if spec.Name.IsExported() {
					count()
					look(spec.Name, spec.Doc, spec.Comment, d.Doc)
				}
			case *ast.ValueSpec:
				for _, name := range spec.Names {
					if name.IsExported() {
						count()
						look(name, spec.Doc, spec.Comment, d.Doc)
					}
				}
			}
		}
	}
	return bare
}

// wellKnown are methods whose interface says what they do.
var wellKnown = map[string]bool{
	"String": true, "Error": true, "Unwrap": true, "Is": true,
	"MarshalJSON": true, "UnmarshalJSON": true, "MarshalText": true, "UnmarshalText": true,
	"Len": true, "Less": true, "Swap": true, "Read": true, "Write": true, "Close": true,
}

func receiver(d *ast.FuncDecl) *ast.Ident {
	t := d.Recv.List[0].Type
	for {
		switch e := t.(type) {
		case *ast.StarExpr:
			t = e.X
		case *ast.IndexExpr:
			t = e.X
		case *ast.IndexListExpr:
			t = e.X
		case *ast.Ident:
			return e
		default:
			return ast.NewIdent("_")
		}
	}
}

// poller is a function that looks at something outside of the process until it is
// so or a deadline passes: the one place where a test may sleep on the real clock.
var poller = regexp.MustCompile(`^(poll|until|await|eventually|waitFor|waitUntil)`)

// TestTestsDoNotSleep finds time.Sleep in tests, except in pollers and in functions
// that use testing/synctest, whose clock is not the real one, by themselves or
// through a function of their package that does.
func TestTestsDoNotSleep(t *testing.T) {
	all := sources(t)
	bubbles := findBubbles(all)
	for _, s := range all {
		if !s.test {
			continue
		}
		for _, pos := range sleeps(s, bubbles) {
			t.Errorf("%s: a test must not sleep; wait for an event, or call it from a function named poll…", s.at(pos))
		}
	}
}

// findBubbles returns which functions use synctest, by folder and name.
func findBubbles(all []*source) map[string]bool {
	bubbles := make(map[string]bool)
	for _, s := range all {
		for _, f := range functions(s) {
			if s.test && len(calls(f, "synctest", "")) > 0 {
				bubbles[s.folder+"."+f.Name.Name] = true
			}
		}
	}
	return bubbles
}

func functions(s *source) (found []*ast.FuncDecl) {
	for _, d := range s.ast.Decls {
		if f, ok := d.(*ast.FuncDecl); ok && f.Body != nil {
			found = append(found, f)
		}
	}
	return found
}

func sleeps(s *source, bubbles map[string]bool) (found []token.Pos) {
	for _, f := range functions(s) {
		inBubble := bubbles[s.folder+"."+f.Name.Name]
		ast.Inspect(f, func(n ast.Node) bool {
			if call, ok := n.(*ast.CallExpr); ok {
				if name, ok := call.Fun.(*ast.Ident); ok && bubbles[s.folder+"."+name.Name] {
					inBubble = true
				}
			}
			return true
		})
		if !inBubble && !poller.MatchString(f.Name.Name) {
			found = append(found, calls(f, "time", "Sleep")...)
		}
	}
	return found
}

// calls finds uses of pkg.name, or of anything in pkg when name is empty.
func calls(f *ast.FuncDecl, pkg, name string) (found []token.Pos) {
	ast.Inspect(f, func(n ast.Node) bool {
		if sel, ok := n.(*ast.SelectorExpr); ok && (name == "" || sel.Sel.Name == name) {
			if x, ok := sel.X.(*ast.Ident); ok && x.Name == pkg {
				found = append(found, sel.Pos())
			}
		}
		return true
	})
	return found
}

func TestSleepsAreFound(t *testing.T) {
	for text, want := range map[string]int{
		`func TestX(t *testing.T) { time.Sleep(1) }`:                                        1,
		`func TestX(t *testing.T) { go func() { for { time.Sleep(1) } }() }`:                1,
		`func TestX(t *testing.T) { f := time.Sleep; f(1) }`:                                1,
		`func pollUntil() { time.Sleep(1) }`:                                                0,
		`func TestX(t *testing.T) { synctest.Test(t, func(*testing.T) { time.Sleep() })}`:   0,
		`func TestX(t *testing.T) { bubble(t, func() { time.Sleep(1); synctest.Wait() }) }`: 0,
		`func TestX(t *testing.T) { bubble(t, func() { time.Sleep(1) }) }
		 func bubble(t *testing.T, f func()) { synctest.Test(t, func(*testing.T) { f() }) }`: 0,
		`func TestX(t *testing.T) { other(t, func() { time.Sleep(1) }) }`: 1,
	} {
		s, err := parse("x_test.go", "package x\n"+text)
		if err != nil {
			t.Fatal(err)
		}
		if got := len(sleeps(s, findBubbles([]*source{s}))); got != want {
			t.Errorf("%s: %d found, want %d", text, got, want)
		}
	}
}

var unfinished = regexp.MustCompile(`\b(TODO|FIXME|XXX|HACK)\b`)

// TestNothingIsLeftToDo finds notes about unfinished work, and logs long files.
func TestNothingIsLeftToDo(t *testing.T) {
	for _, s := range sources(t) {
		if s.generated() || s.name == "presubmit_test.go" {
			continue
		}
		for _, group := range s.ast.Comments {
			for _, c := range group.List {
				if note := unfinished.FindString(c.Text); note != "" {
					t.Errorf("%s: %s in a comment; finish it or open an issue", s.at(c.Pos()), note)
				}
			}
		}
		if lines := s.fset.Position(s.ast.End()).Line; lines > 400 && !s.test {
			t.Logf("%s has %d lines; think hard at 400", s.name, lines)
		}
	}
}

// TestMakefileBuildsEveryPlugin compares the plugins with what `make build`
// builds.
func TestMakefileBuildsEveryPlugin(t *testing.T) {
	plugins, err := os.ReadDir("plugins")
	if err != nil {
		t.Fatal(err)
	}
	makefile, err := os.ReadFile("Makefile")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := bytes.Cut(makefile, []byte("\nPLUGINS :="))
	line, _, _ := strings.Cut(string(rest), "\n")
	listed := map[string]bool{}
	for _, name := range strings.Fields(line) {
		listed[name] = true
	}
	for _, p := range plugins {
		if p.IsDir() && !listed[p.Name()] {
			t.Errorf("plugins/%s is not in PLUGINS of the Makefile", p.Name())
		}
	}
}
