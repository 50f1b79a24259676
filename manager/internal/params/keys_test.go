package params

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v3"
)

const (
	reference  = "../../../docs/params.md"
	schemaFile = "../../../docs/params.schema.json"
)

// TestReference holds the table of docs/params.md to the keys of the code.
func TestReference(t *testing.T) {
	text, err := os.ReadFile(reference)
	if err != nil {
		t.Fatal(err)
	}
	documented := make(map[string][]string)
	for _, m := range regexp.MustCompile("(?m)^\\| `([^`]+)` \\|(.*)\\|$").FindAllStringSubmatch(string(text), -1) {
		var cells []string
		for _, c := range strings.Split(m[2], "|") {
			cells = append(cells, strings.TrimSpace(c))
		}
		documented[m[1]] = cells
	}
	for _, k := range Keys() {
		cells, ok := documented[k.Path]
		delete(documented, k.Path)
		if !ok {
			t.Errorf("%s: %s has no row for it", reference, k.Path)
			continue
		}
		if want := []string{k.Type, k.Default, k.Range}; len(cells) != 4 || !slices.Equal(cells[:3], want) || cells[3] == "" {
			t.Errorf("%s: the row of %s has %q, want %q and a meaning", reference, k.Path, cells, want)
		}
	}
	for path := range documented {
		t.Errorf("%s: %s is not a key", reference, path)
	}
}

// node is what the test needs of a JSON Schema.
type node struct {
	Ref        string          `json:"$ref"`
	Type       string          `json:"type"`
	Enum       []string        `json:"enum"`
	Minimum    *int64          `json:"minimum"`
	Maximum    *int64          `json:"maximum"`
	Default    json.RawMessage `json:"default"`
	Required   []string        `json:"required"`
	Additional *bool           `json:"additionalProperties"`
	Properties map[string]node `json:"properties"`
	Items      *node           `json:"items"`
	What       string          `json:"description"`
}

// TestSchema holds docs/params.schema.json to the keys of the code.
func TestSchema(t *testing.T) {
	text, err := os.ReadFile(schemaFile)
	if err != nil {
		t.Fatal(err)
	}
	var root node
	if err := json.Unmarshal(text, &root); err != nil {
		t.Fatal(err)
	}
	known := make(map[string]node)
	flatten(t, known, "", root)
	required := make(map[string]bool)
	for path, n := range known {
		for _, name := range n.Required {
			required[join(strings.TrimSuffix(path, "."), name)] = true
		}
	}
	for _, name := range root.Required {
		required[name] = true
	}
	for _, k := range Keys() {
		n, ok := known[k.Path]
		delete(known, k.Path)
		if !ok {
			t.Errorf("%s: %s is missing", schemaFile, k.Path)
			continue
		}
		if fault := schemaFault(k, n, required[k.Path]); fault != "" {
			t.Errorf("%s: %s %s", schemaFile, k.Path, fault)
		}
	}
	for path := range known {
		if !strings.HasSuffix(path, "[]") {
			t.Errorf("%s: %s is not a key", schemaFile, path)
		}
	}
}

// flatten collects the properties of n by the paths that the table of keys has.
func flatten(t *testing.T, into map[string]node, path string, n node) {
	if n.Properties != nil && (n.Additional == nil || *n.Additional) {
		t.Errorf("%s: %q accepts unknown keys", schemaFile, path)
	}
	for name, p := range n.Properties {
		at := strings.TrimPrefix(path+"."+name, ".")
		into[at] = p
		flatten(t, into, at, p)
		if p.Items != nil {
			into[at+"[]"] = *p.Items
			flatten(t, into, at+"[]", *p.Items)
		}
	}
}

func schemaFault(k Key, n node, required bool) string {
	if required != (k.Default == "required") {
		return fmt.Sprintf("is required: %v, want %v", required, !required)
	}
	if n.What == "" {
		return "has no description"
	}
	want := map[string]bool{
		"integer":  n.Type == "integer" && n.Minimum != nil && *n.Minimum == k.min && n.Maximum != nil && *n.Maximum == k.max,
		"duration": n.Ref == "#/$defs/duration",
		"string":   n.Type == "string" || n.Ref == "#/$defs/name" || n.Ref == "#/$defs/account" || n.Enum != nil,
		"boolean":  n.Type == "boolean",
		"limit":    n.Ref == "#/$defs/limit",
		"list":     n.Type == "array",
		"mapping":  n.Type == "object",
	}
	if !want[k.Type] {
		return "is not described as " + k.Type + " of " + k.Range
	}
	byDefault := ""
	if _, err := time.ParseDuration(k.Default); k.Type == "duration" && err == nil || k.Type == "string" && n.Default != nil {
		byDefault = strconv.Quote(k.Default)
	} else if _, err := strconv.Atoi(k.Default); k.Type == "integer" && err == nil || k.Type == "boolean" {
		byDefault = k.Default
	}
	if string(n.Default) != byDefault {
		return fmt.Sprintf("has the default %s, want %s", n.Default, byDefault)
	}
	return ""
}

// TestEveryKeyIsRead takes the keys of a file that has all of them away, one by
// one: each must make a difference.
func TestEveryKeyIsRead(t *testing.T) {
	data, err := os.ReadFile("testdata/good/full.yaml")
	if err != nil {
		t.Fatal(err)
	}
	whole := without(t, data, "")
	for _, k := range Keys() {
		if got := without(t, data, k.Path); got == whole {
			t.Errorf("testdata/good/full.yaml means the same without %s", k.Path)
		}
	}
}

// without parses data without the keys at path and returns what that means.
func without(t *testing.T, data []byte, path string) string {
	d := &decoder{file: "f"}
	root := d.document(data)
	if path != "" && remove(root, strings.Split(path, ".")) == 0 {
		t.Errorf("testdata/good/full.yaml has no %s", path)
	}
	p := d.params(root)
	if err := d.err(); err != nil {
		return err.Error()
	}
	text, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func remove(n *yaml.Node, path []string) (removed int) {
	if n.Kind == yaml.SequenceNode {
		for _, item := range n.Content {
			removed += remove(item, path)
		}
		return removed
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value != strings.TrimSuffix(path[0], "[]") {
			continue
		}
		if len(path) > 1 {
			return remove(n.Content[i+1], path[1:])
		}
		n.Content = slices.Delete(n.Content, i, i+2)
		return 1
	}
	return 0
}

func compileSchema(t testing.TB) *jsonschema.Schema {
	t.Helper()
	s, err := jsonschema.NewCompiler().Compile(schemaFile)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestSchemaAccepts: what the code accepts, an editor must not underline.
func TestSchemaAccepts(t *testing.T) {
	schema := compileSchema(t)
	for _, file := range files(t, "good") {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if err := validate(schema, data); err != nil {
			t.Errorf("%s: %v", file, err)
		}
	}
	if err := validate(schema, []byte(development)); err != nil {
		t.Errorf("development params: %v", err)
	}
}

// TestSchemaRefuses: the mistakes that a schema can see, it sees.
func TestSchemaRefuses(t *testing.T) {
	schema := compileSchema(t)
	for _, in := range []string{
		"num_of_process: 2\n",
		"active_service: []\n",
		row("service_type: tcp, port: 1, prt: 1"),
		row("port: 1"),
		row("service_type: tcp"),
		row("service_type_id: 3"),
		row("service_type: udp, port: 1, framing: line"),
		row("service_type: tcp, port: 1, framing: line, message_format_in: msgpack"),
		row("service_type: tcp, port: 1, framing: line, message_format_out_id: 4"),
		row("service_type: tcp, port: 1, mode: 0600"),
		row("service_type: tcp, port: 1, forward_to: {entity: room}"),
		row("service_type: tcp, port: 1, run_as: {group: a}"),
		row("service_type: tcp, port: 1, run_as: {user: [a]}"),
		row("service_type: tcp, port: 1, umask: 0022"),
		row("service_type: tcp, port: 1, working_dir: here"),
		row("service_type: tcp, port: 1, env_file: here"),
		row("service_type: tcp, port: 1, env: {A B: c}"),
		row("service_type: tcp, port: 1, env: {A: 1}"),
		row("service_type: tcp, port: 1, rlimits: {nofile: many}"),
		row("service_type: tcp, port: 1, rlimits: {file: 1}"),
		row("service_type: tcp, port: 1, no_new_privs: 1"),
		"push_back: 1\n" + row("service_type: tcp, port: 1"),
	} {
		if validate(schema, []byte(in)) == nil {
			t.Errorf("the schema accepts %q", in)
		}
		if _, err := Parse("f", []byte(in)); err == nil {
			t.Errorf("the code accepts %q", in)
		}
	}
}

func validate(schema *jsonschema.Schema, data []byte) error {
	d := &decoder{file: "f"}
	var b bytes.Buffer
	d.appendJSON(&b, d.document(data), "")
	doc, err := jsonschema.UnmarshalJSON(&b)
	if err != nil {
		return err
	}
	return schema.Validate(doc)
}
