package antano_test

import (
	"go/ast"
	"go/token"
	"io/fs"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// documents are all Markdown files of the repository, by name.
func documents(t *testing.T) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (d.Name() == "testdata" || d.Name() == "bin" || d.Name() != "." && strings.HasPrefix(d.Name(), ".")):
			return fs.SkipDir
		case strings.HasSuffix(name, ".md"):
			text, err := os.ReadFile(name)
			all[filepath.ToSlash(name)] = string(text)
			return err
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func document(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

var (
	fence    = regexp.MustCompile("(?sm)^```.*?^```")
	codeSpan = regexp.MustCompile("`[^`\n]*`")
	link     = regexp.MustCompile(`\[[^\]]*\]\(([^)\s]+)\)`)
	heading  = regexp.MustCompile(`(?m)^#+ (.*)$`)
)

// anchors are the headings of a document as links name them.
func anchors(text string) map[string]bool {
	found := map[string]bool{}
	for _, m := range heading.FindAllStringSubmatch(fence.ReplaceAllString(text, ""), -1) {
		name := strings.Map(func(r rune) rune {
			switch {
			case r == ' ':
				return '-'
			case r == '-', r == '_', r >= 'a' && r <= 'z', r >= '0' && r <= '9', r > 127:
				return r
			}
			return -1
		}, strings.ToLower(m[1]))
		found[name] = true
	}
	return found
}

// TestLinksResolve follows every link that stays within the repository.
func TestLinksResolve(t *testing.T) {
	all := documents(t)
	followed := 0
	for name, text := range all {
		text = codeSpan.ReplaceAllString(fence.ReplaceAllString(text, ""), "")
		for _, m := range link.FindAllStringSubmatch(text, -1) {
			u, err := url.Parse(m[1])
			if err != nil {
				t.Errorf("%s: %v", name, err)
				continue
			}
			if u.Scheme != "" {
				continue
			}
			followed++
			target := name
			if u.Path != "" {
				target = filepath.ToSlash(filepath.Join(filepath.Dir(name), u.Path))
			}
			if _, err := os.Stat(target); err != nil {
				t.Errorf("%s links to %s, which does not exist", name, m[1])
			} else if u.Fragment != "" && !anchors(all[target])[u.Fragment] {
				t.Errorf("%s links to %s, where no heading is called so", name, m[1])
			}
		}
	}
	if followed < 10 {
		t.Errorf("only %d links found", followed)
	}
}

var reference = regexp.MustCompile(`(docs/[\w/-]+\.md)(?:,? "([^"]+)")?`)

// TestReferencesResolve follows what comments and messages in the code say of docs/.
func TestReferencesResolve(t *testing.T) {
	all := documents(t)
	for _, s := range sources(t) {
		if s.name == "documents_test.go" {
			continue
		}
		for _, group := range s.ast.Comments {
			text := strings.Join(strings.Fields(group.Text()), " ")
			for _, m := range reference.FindAllStringSubmatch(text, -1) {
				if all[m[1]] == "" {
					t.Errorf("%s: %s does not exist", s.at(group.Pos()), m[1])
				} else if m[2] != "" && !regexp.MustCompile(`(?m)^#+ `+regexp.QuoteMeta(m[2])+`( \(|$)`).MatchString(all[m[1]]) {
					t.Errorf("%s: %s has no section %q", s.at(group.Pos()), m[1], m[2])
				}
			}
		}
		for _, text := range literals(s.ast) {
			for _, m := range reference.FindAllStringSubmatch(text, -1) {
				if all[m[1]] == "" {
					t.Errorf("%s: %s does not exist", s.name, m[1])
				}
			}
		}
	}
}

// literals are the strings in a piece of source.
func literals(n ast.Node) (found []string) {
	ast.Inspect(n, func(n ast.Node) bool {
		if l, ok := n.(*ast.BasicLit); ok && l.Kind == token.STRING {
			if text, err := strconv.Unquote(l.Value); err == nil {
				found = append(found, text)
			}
		}
		return true
	})
	return found
}

// section is a document's text from a heading to the next one.
func section(text, title string) string {
	_, rest, ok := strings.Cut("\n"+text, "\n## "+title+"\n")
	if !ok {
		return ""
	}
	rest, _, _ = strings.Cut(rest, "\n## ")
	return rest
}

// firstCells are the quoted names in the first column of the tables with that heading.
func firstCells(text, first string) (names []string) {
	for _, row := range tableRows(text, first) {
		names = append(names, quotedIn(row[0])...)
	}
	slices.Sort(names)
	return names
}

// TestStatusIsDocumented compares every field of the JSON answers with the tables of
// docs/control.md, both ways.
func TestStatusIsDocumented(t *testing.T) {
	text := document(t, "docs/control.md")
	fields := map[string][]string{}
	for _, s := range sources(t) {
		if s.folder == "manager" && !s.test {
			maps.Copy(fields, jsonFields(s.ast))
		}
	}
	for title, name := range map[string]string{
		"Server": "Status", "Service": "ServiceStatus", "Socket": "SocketStatus", "Process": "ProcessStatus", "Last exit": "LastExit", "Generation": "GenerationStatus", "Client": "ClientStatus",
		"Exit of a generation": "ProcessExit", "Event": "Event", "Log line": "LogLine", "Why": "Why", "Backoff": "WhyBackoff", "Health": "WhyHealth", "Kicked": "Kicked",
		"Progress": "Progress",
	} {
		compare(t, "docs/control.md, "+title, firstCells(section(text, title), "Field"), fields[name])
		delete(fields, name)
	}
	delete(fields, "Plugin") // section Plugins, in words
	for name := range fields {
		t.Errorf("docs/control.md says nothing of manager.%s", name)
	}
}

// TestBenchIsDocumented compares the JSON of `antano bench` with docs/operating.md.
func TestBenchIsDocumented(t *testing.T) {
	fields := map[string][]string{}
	for _, s := range sources(t) {
		if s.folder == "internal/measure/report" && !s.test {
			maps.Copy(fields, jsonFields(s.ast))
		}
	}
	text := section(document(t, "docs/operating.md"), "How fast it is here")
	of := func(types ...string) (all []string) {
		for _, name := range types {
			all = append(all, fields[name]...)
		}
		return slices.DeleteFunc(slices.Sorted(slices.Values(all)), func(key string) bool { return key == "against" || key == "ratios" }) // of bench/ only
	}
	compare(t, "docs/operating.md, the bench", firstCells(text, "Field"), of("Document", "Table"))
	compare(t, "docs/operating.md, rows of the bench", firstCells(text, "Field of a row"), of("Row", "row"))
	for field, name := range map[string]string{"machine": "Machine", "skipped": "Skipped"} {
		for _, row := range tableRows(text, "Field") {
			if quotedIn(row[0])[0] == field {
				compare(t, "docs/operating.md, "+field, slices.Sorted(slices.Values(quotedIn(row[2]))), of(name))
			}
		}
	}
}

// jsonFields are the JSON keys of the structs in a file, by type.
func jsonFields(f *ast.File) map[string][]string {
	found := map[string][]string{}
	ast.Inspect(f, func(n ast.Node) bool {
		spec, ok := n.(*ast.TypeSpec)
		if !ok {
			return true
		}
		s, ok := spec.Type.(*ast.StructType)
		if !ok {
			return true
		}
		for _, field := range s.Fields.List {
			if field.Tag == nil {
				continue
			}
			tag, _ := strconv.Unquote(field.Tag.Value)
			key, _, _ := strings.Cut(reflect.StructTag(tag).Get("json"), ",")
			found[spec.Name.Name] = append(found[spec.Name.Name], key)
		}
		slices.Sort(found[spec.Name.Name])
		return true
	})
	return found
}

// compare reports what is in one of two sorted lists only.
func compare(t *testing.T, where string, documented, real []string) {
	t.Helper()
	if len(real) == 0 {
		t.Errorf("%s: nothing to compare with; was something renamed?", where)
	}
	for _, name := range real {
		if !slices.Contains(documented, name) {
			t.Errorf("%s does not mention %s", where, name)
		}
	}
	for _, name := range documented {
		if !slices.Contains(real, name) {
			t.Errorf("%s mentions %s, which does not exist", where, name)
		}
	}
}

// TestOperatorsFindEverything compares the other tables of docs/control.md, and the
// codes and types of docs/message.md, with the code.
func TestOperatorsFindEverything(t *testing.T) {
	control, message := document(t, "docs/control.md"), document(t, "docs/message.md")
	var resources, environment, files []string
	codes := map[string]bool{}
	for _, s := range sources(t) {
		if s.test {
			continue
		}
		switch s.name {
		case "manager/internal/control/server.go":
			for _, text := range literals(s.ast) {
				if method, _, ok := strings.Cut(text, " /v"); ok && method == strings.ToUpper(method) {
					resources = append(resources, text)
				}
			}
		case "manager/internal/runtimedir/dir.go":
			for _, text := range literals(s.ast) {
				if strings.HasSuffix(text, ".sock") {
					files = append(files, text)
				}
			}
		case "shared/code.go":
			for _, text := range valuesOf(s.ast, "codeNames") {
				codes[text] = true
			}
		}
		if strings.HasPrefix(s.folder, "manager") || strings.HasPrefix(s.folder, "cmd") {
			environment = append(environment, variables(s.ast)...)
		}
	}
	delete(codes, "none")
	delete(codes, "kernel") // in drops only
	compare(t, "docs/control.md, Resources", firstCells(control, "Resource"), resources)
	compare(t, "docs/control.md, Environment", firstCells(control, "Variable"), environment)
	compare(t, "docs/control.md, Runtime directory", firstCells(control, "File"), append(files, "lock", "p0", "p1"))
	compare(t, "docs/message.md, Codes", firstCells(message, "Code"), slices.Collect(maps.Keys(codes)))
	if !strings.Contains(control, "`kernel`") {
		t.Error("docs/control.md does not mention kernel")
	}
	for _, s := range sources(t) {
		if s.name == "plugin/format/envelope.go" {
			compare(t, "docs/message.md, From a client", firstCells(section(message, "From a client"), "Type"), valuesOf(s.ast, "typeNames"))
		}
	}
	var exits []string
	for _, row := range tableRows(section(control, "Exit codes"), "Code") {
		exits = append(exits, row[0])
	}
	if want := []string{"0", "1", "2", "78"}; !slices.Equal(exits, want) {
		t.Errorf("docs/control.md lists the exit codes %v, want %v", exits, want)
	}
}

// variables are the environment variables that a file asks for by name.
func variables(f *ast.File) (names []string) {
	ast.Inspect(f, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok || len(call.Args) != 1 {
			return true
		}
		if fun, ok := call.Fun.(*ast.SelectorExpr); ok && (fun.Sel.Name == "Getenv" || fun.Sel.Name == "LookupEnv") {
			names = append(names, literals(call.Args[0])...)
		}
		return true
	})
	return names
}

// valuesOf are the strings with which a variable is initialised.
func valuesOf(f *ast.File, variable string) (found []string) {
	ast.Inspect(f, func(n ast.Node) bool {
		if spec, ok := n.(*ast.ValueSpec); ok && spec.Names[0].Name == variable {
			found = literals(spec)
		}
		return true
	})
	return found
}

var (
	testName = regexp.MustCompile(`\b(?:Test|Fuzz)[A-Z]\w+`)
	pathName = regexp.MustCompile(`^(?:bench|cmd|docs|examples|manager|plugin|plugins|shared|tools)/[\w./-]+$`)
)

// TestNamesInDocumentsExist looks for the tests that documents cite, and for the files
// and folders that they name.
func TestNamesInDocumentsExist(t *testing.T) {
	tests := map[string]bool{}
	for _, s := range sources(t) {
		for _, d := range s.ast.Decls {
			if f, ok := d.(*ast.FuncDecl); ok && s.test && f.Recv == nil {
				tests[f.Name.Name] = true
			}
		}
	}
	for name, text := range documents(t) {
		for _, cited := range testName.FindAllString(text, -1) {
			if !tests[cited] {
				t.Errorf("%s cites %s, which does not exist", name, cited)
			}
		}
		for _, path := range quotedIn(fence.ReplaceAllString(text, "")) {
			if !pathName.MatchString(path) || name == "docs/seed-mapping.md" { // symbols, not paths
				continue
			}
			if _, err := os.Stat(path); err != nil {
				t.Errorf("%s names %s, which does not exist", name, path)
			}
		}
	}
}

// TestDependenciesHaveAReason looks for every module that a wall lets in.
func TestDependenciesHaveAReason(t *testing.T) {
	text := document(t, "docs/decisions/0002-dependencies.md")
	modules := slices.Clone(testsMay)
	for _, w := range walls {
		modules = append(modules, w.others...)
	}
	for _, m := range modules {
		if !strings.Contains(text, strings.TrimPrefix(m, "github.com/")) {
			t.Errorf("docs/decisions/0002-dependencies.md gives no reason for %s", m)
		}
	}
}
