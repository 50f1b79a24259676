package antano_test

import (
	"fmt"
	"go/ast"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// seed lists the names of the original's documentation: its classes and methods,
// each with its parameters, keywords and what it returns where that is named.
var seed = map[string][]string{
	"UnixService":            {"_server", "_params", "_type", "_family"},
	"SocketService":          nil,
	"add_accept_handler":     {"sock", "callback", "io_loop"},
	"add_sockets":            {"sockets"},
	"bind":                   {"port", "address", "family", "backlog"},
	"bind_unix_socket":       {"file", "mode", "backlog"},
	"can_send":               nil,
	"close":                  nil,
	"get_service":            {"_params", "_server"},
	"on_received_message":    {"message", "address", "sock_stream", "response"},
	"pass_through_message":   {"_entity", "_entity_id", "_process_id", "message"},
	"run_processes":          {"_services", "_num_of_process"},
	"send_message":           {"message", "address", "stream", "is_binary"},
	"start":                  {"_params", "_internal"},
	"start_internal_service": {"server"},
	"stop":                   nil,
}

func TestSeedMapping(t *testing.T) {
	text, err := os.ReadFile("docs/seed-mapping.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, wrong := range checkMapping(string(text), declared(sources(t))) {
		t.Error("docs/seed-mapping.md: " + wrong)
	}
}

// TestSeedMappingIsChecked takes something away from a table that is right.
func TestSeedMappingIsChecked(t *testing.T) {
	known := map[string]bool{"a/b.T.M": true, "a/b.TestM": true}
	var right strings.Builder
	right.WriteString("# Title\n\n| Seed | Go | Test | Why |\n| --- | --- | --- | --- |\n")
	for name, parameters := range seed {
		fmt.Fprintf(&right, "| `%s` | `a/b.T.M` | `a/b.TestM` | so |\n", name)
		for _, p := range parameters {
			fmt.Fprintf(&right, "| `%s` `%s` | `a/b.T.M` | `a/b.TestM` | so |\n", name, p)
		}
	}
	if wrong := checkMapping(right.String(), known); len(wrong) > 0 {
		t.Fatalf("a table without a mistake: %v", wrong)
	}
	for _, c := range []struct{ old, new, says string }{
		{"| `stop` | `a/b.T.M` | `a/b.TestM` | so |\n", "", "stop is missing"},
		{"| `bind` `backlog` |", "| `bind` `port` |", "bind backlog is missing"},
		{"| `close` | `a/b.T.M` |", "| `close` | `a/b.T.N` |", "a/b.T.N does not exist"},
		{"| `close` | `a/b.T.M` |", "| `close` | soon |", "close names no Go symbol"},
		{"| `close` | `a/b.T.M` | `a/b.TestM` |", "| `close` | `a/b.T.M` | `a/b.TestN` |", "a/b.TestN does not exist"},
		{"| `close` | `a/b.T.M` | `a/b.TestM` |", "| `close` | `a/b.T.M` | `a/b.T.M` |", "a/b.T.M is no test"},
		{"| `close` | `a/b.T.M` | `a/b.TestM` |", "| `close` | `a/b.T.M` | none |", "close names no test"},
		{"| `close` |", "| `closed` |", "closed is not in the seed"},
		{"| `close` | `a/b.T.M` | `a/b.TestM` | so |", "| `close` | `a/b.T.M` | `a/b.TestM` |  |", "close says nothing"},
	} {
		wrong := checkMapping(strings.Replace(right.String(), c.old, c.new, 1), known)
		if !slices.ContainsFunc(wrong, func(w string) bool { return strings.Contains(w, c.says) }) {
			t.Errorf("%s: not among %v", c.says, wrong)
		}
	}
}

var quoted = regexp.MustCompile("`([^`]+)`")

func quotedIn(cell string) (found []string) {
	for _, m := range quoted.FindAllStringSubmatch(cell, -1) {
		found = append(found, m[1])
	}
	return found
}

// checkMapping returns what is wrong with a mapping.
func checkMapping(text string, known map[string]bool) (wrong []string) {
	seen := map[string]bool{}
	for _, row := range tableRows(text, "Seed") {
		if len(row) != 4 {
			wrong = append(wrong, fmt.Sprintf("the row %s has %d cells, not 4", row[0], len(row)))
			continue
		}
		name := strings.Join(quotedIn(row[0]), " ")
		seen[name] = true
		method, parameter, _ := strings.Cut(name, " ")
		if parameters, ok := seed[method]; !ok || parameter != "" && !slices.Contains(parameters, parameter) {
			wrong = append(wrong, name+" is not in the seed")
		}
		symbols, tests := quotedIn(row[1]), quotedIn(row[2])
		if len(symbols) == 0 {
			wrong = append(wrong, name+" names no Go symbol")
		}
		if len(tests) == 0 {
			wrong = append(wrong, name+" names no test")
		}
		for _, s := range append(symbols, tests...) {
			if !known[s] {
				wrong = append(wrong, name+": "+s+" does not exist")
			}
		}
		for _, s := range tests {
			if !strings.HasPrefix(s[strings.LastIndex(s, ".")+1:], "Test") {
				wrong = append(wrong, name+": "+s+" is no test")
			}
		}
		if row[3] == "" {
			wrong = append(wrong, name+" says nothing about what differs")
		}
	}
	for name, parameters := range seed {
		for _, p := range append([]string{""}, parameters...) {
			if key := strings.TrimSpace(name + " " + p); !seen[key] {
				wrong = append(wrong, key+" is missing")
			}
		}
	}
	return wrong
}

// declared names what the sources declare: package functions, types, constants and
// variables as folder.Name, methods and fields as folder.Type.Name. Tests count in
// test files only.
func declared(all []*source) map[string]bool {
	known := map[string]bool{}
	for _, s := range all {
		for _, d := range s.ast.Decls {
			for _, name := range namesOf(d) {
				if strings.HasPrefix(name, "Test") == s.test {
					known[s.folder+"."+name] = true
				}
			}
		}
	}
	return known
}

func namesOf(d ast.Decl) (names []string) {
	switch d := d.(type) {
	case *ast.FuncDecl:
		if d.Recv == nil {
			return []string{d.Name.Name}
		}
		return []string{receiver(d).Name + "." + d.Name.Name}
	case *ast.GenDecl:
		for _, spec := range d.Specs {
			switch spec := spec.(type) {
			case *ast.TypeSpec:
				names = append(names, spec.Name.Name)
				for _, f := range membersOf(spec.Type) {
					names = append(names, spec.Name.Name+"."+f)
				}
			case *ast.ValueSpec:
				for _, name := range spec.Names {
					names = append(names, name.Name)
				}
			}
		}
	}
	return names
}

// membersOf are the fields of a struct or the methods of an interface.
func membersOf(t ast.Expr) (names []string) {
	var list *ast.FieldList
	switch t := t.(type) {
	case *ast.StructType:
		list = t.Fields
	case *ast.InterfaceType:
		list = t.Methods
	default:
		return nil
	}
	for _, f := range list.List {
		for _, name := range f.Names {
			names = append(names, name.Name)
		}
	}
	return names
}

// tableRows are the cells of all rows of the tables whose first heading is first.
func tableRows(text, first string) (rows [][]string) {
	inside := false
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(line, "|") {
			inside = false
			continue
		}
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		switch {
		case cells[0] == first:
			inside = true
		case inside && !strings.HasPrefix(cells[0], "---"):
			rows = append(rows, cells)
		}
	}
	return rows
}
