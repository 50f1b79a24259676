package antano_test

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// wall says what the files under a folder may import besides the standard library:
// of ours ("x" is the package, "x/..." the package and all below it) and of others
// (a prefix). The wall of the longest folder holds. Source: docs/architecture.md "Where to look".
type wall struct {
	folder string
	ours   []string
	others []string
}

const (
	hclog    = "github.com/hashicorp/go-hclog"
	goPlugin = "github.com/hashicorp/go-plugin"
	google   = "google.golang.org"
	sys      = "golang.org/x/sys"
	msgp     = "github.com/tinylib/msgp"
	yaml     = "go.yaml.in/yaml/v3"
	schema   = "github.com/santhosh-tekuri/jsonschema/v6"
	cobra    = "github.com/spf13/cobra"
	rotation = "github.com/DeRuina/timberjack"
	systemd  = "github.com/coreos/go-systemd/v22"
	goleak   = "go.uber.org/goleak"
	coder    = "github.com/coder/websocket"
)

var walls = []wall{
	{".", nil, nil},
	{"shared", nil, nil},
	{"shared/pluginpb", nil, []string{google}},
	{"shared/wire", []string{"shared"}, nil},
	{"shared/control", []string{"shared", "shared/pluginpb"}, []string{google}},
	{"plugin", []string{"shared", "plugin/..."}, []string{sys, msgp}},
	{"plugin/internal", []string{"shared/...", "plugin/..."}, []string{sys, msgp, goPlugin, hclog, google}},
	{"manager", []string{"shared", "manager/..."}, []string{sys, hclog, schema}},
	// What of ours a package under manager/internal may import is in check.
	{"manager/internal", nil, []string{sys, hclog, goPlugin, google, yaml, schema}},
	// The kit speaks frames and calls as no manager does.
	{"manager/conformance/internal", []string{"shared/...", "manager/conformance/internal/...", "manager/internal/..."}, []string{sys, google}},
	{"plugins", []string{"shared", "plugin/..."}, nil},
	{"plugins/websocket", []string{"shared", "plugin/..."}, []string{coder}},
	{"plugins/rest", []string{"shared", "plugin/..."}, []string{msgp}},
	{"cmd/antano", []string{"shared", "manager", "manager/conformance", "internal/measure/...", "cmd/antano/internal/..."}, []string{cobra, hclog, rotation, systemd}},
	// What measures Antano is a user of it, apart from its plugin that speaks the protocol.
	{"internal/measure", []string{"internal/measure/...", "shared", "manager"}, nil},
	{"internal/measure/rawplugin", []string{"internal/measure/peer", "internal/measure/server", "shared/..."}, []string{goPlugin, google}},
	{"internal/testserver", []string{"internal/measure/server"}, nil},
	{"chaos", []string{"chaos/...", "internal/testserver", "manager"}, nil},
	{"examples", []string{"shared", "plugin/..."}, nil},
}

// testsMay lists what tests import anywhere in addition.
var testsMay = []string{goleak, hclog, schema, yaml}

// commandTestsMay lists what of ours the tests of the command import in addition.
var commandTestsMay = []string{"internal/testserver"}

func TestImportWalls(t *testing.T) {
	for _, s := range sources(t) {
		for _, i := range s.ast.Imports {
			imported, err := strconv.Unquote(i.Path.Value)
			if err != nil {
				t.Fatal(err)
			}
			if wrong := check(s, imported); wrong != "" {
				t.Errorf("%s: %s", s.at(i.Pos()), wrong)
			}
		}
	}
}

// check says why s must not import a package, or nothing.
func check(s *source, imported string) string {
	w := wallOf(s.folder)
	if w == nil {
		return fmt.Sprintf("folder %s is not in the layout; add its wall to walls_test.go", s.folder)
	}
	if ours, ok := strings.CutPrefix(imported, module); ok {
		ours = strings.TrimPrefix(ours, "/")
		if s.test && ours == s.folder { // a test from outside its package
			return ""
		}
		may := w.ours
		if w.folder == "manager/internal" {
			may = []string{"shared/...", "manager/internal/event", "manager/internal/executable", concern(s.folder) + "/..."}
		}
		if s.test && s.folder == "cmd/antano" {
			may = append(slices.Clone(may), commandTestsMay...)
		}
		if !slices.ContainsFunc(may, func(m string) bool { return within(ours, m) }) {
			return fmt.Sprintf("%s must not import %s; it may import %s of ours", s.folder, ours, list(may))
		}
		return ""
	}
	if first, _, _ := strings.Cut(imported, "/"); !strings.Contains(first, ".") {
		return "" // the standard library
	}
	may := w.others
	if s.test {
		may = append(slices.Clone(may), testsMay...)
	}
	if !slices.ContainsFunc(may, func(m string) bool { return within(imported, m+"/...") }) {
		return fmt.Sprintf("%s must not import %s; it may import %s of others", s.folder, imported, list(may))
	}
	return ""
}

func wallOf(folder string) (found *wall) {
	for i, w := range walls {
		if (folder == w.folder || w.folder != "." && within(folder, w.folder+"/...")) && (found == nil || len(w.folder) > len(found.folder)) {
			found = &walls[i]
		}
	}
	return found
}

func within(name, pattern string) bool {
	tree, all := strings.CutSuffix(pattern, "/...")
	return name == tree || all && strings.HasPrefix(name, tree+"/")
}

// concern is the folder of a package right below manager/internal.
func concern(folder string) string {
	parts := strings.SplitN(folder, "/", 4)
	return strings.Join(parts[:min(3, len(parts))], "/")
}

func list(may []string) string {
	if len(may) == 0 {
		return "nothing"
	}
	return strings.Join(may, ", ")
}

// TestWallsStand tears each wall down in turn.
func TestWallsStand(t *testing.T) {
	for _, c := range []struct {
		file, imported string
		allowed        bool
	}{
		{"shared/a.go", "encoding/json", true},
		{"shared/a.go", sys + "/unix", false},
		{"shared/a.go", module + "/shared/wire", false},
		{"shared/wire/a.go", module + "/shared", true},
		{"shared/wire/a.go", module + "/shared/pluginpb", false},
		{"shared/wire/a.go", google + "/protobuf/proto", false},
		{"shared/control/a.go", module + "/shared/pluginpb", true},
		{"shared/control/a.go", module + "/shared/wire", false},
		{"plugin/a.go", module + "/manager", false},
		{"plugin/a.go", module + "/shared/wire", false},
		{"plugin/a.go", module + "/plugin/internal/hub", true},
		{"plugin/a.go", goPlugin, false},
		{"plugin/socket/a_test.go", module + "/shared/control", false},
		{"plugin/socket/a_test.go", goleak, true},
		{"plugin/socket/a.go", goleak, false},
		{"plugin/internal/hub/a.go", module + "/shared/wire", true},
		{"plugin/internal/hub/a.go", module + "/manager/internal/event", false},
		{"plugin/internal/serve/a.go", goPlugin, true},
		{"manager/a.go", module + "/manager/internal/relay", true},
		{"manager/a.go", module + "/shared/wire", false},
		{"manager/a.go", module + "/plugin", false},
		{"manager/a.go", goPlugin + "/runner", false},
		{"manager/conformance/a.go", module + "/shared/pluginpb", false},
		{"manager/conformance/a.go", module + "/shared/wire", false},
		{"manager/conformance/internal/point/a.go", module + "/shared/wire", true},
		{"manager/conformance/internal/point/a.go", module + "/manager", false},
		{"manager/conformance/internal/point/a.go", module + "/plugin", false},
		{"manager/conformance/internal/rig/a.go", goPlugin, false},
		{"manager/internal/relay/a.go", module + "/shared/wire", true},
		{"manager/internal/relay/a.go", module + "/manager/internal/event", true},
		{"manager/internal/relay/a.go", module + "/manager/internal/relay/table", true},
		{"manager/internal/relay/a.go", module + "/manager/internal/relayed", false},
		{"manager/internal/relay/a.go", module + "/manager/internal/launch", false},
		{"manager/internal/relay/a_test.go", module + "/manager/internal/launch", false},
		{"manager/internal/relay/a_test.go", module + "/manager/internal/relay", true},
		{"manager/internal/relay/a.go", module + "/manager", false},
		{"manager/internal/relay/a.go", module + "/plugin", false},
		{"manager/internal/launch/a.go", goPlugin + "/runner", true},
		{"plugins/tcp/main.go", module + "/plugin/socket", true},
		{"plugins/tcp/main.go", module + "/manager", false},
		{"plugins/tcp/main.go", module + "/shared/wire", false},
		{"plugins/tcp/main.go", hclog, false},
		{"cmd/antano/main.go", module + "/manager", true},
		{"cmd/antano/main.go", module + "/manager/internal/event", false},
		{"cmd/antano/main.go", module + "/plugin", false},
		{"cmd/antano/main.go", module + "/internal/testserver", false},
		{"cmd/antano/a_test.go", module + "/internal/testserver", true},
		{"plugin/a_test.go", module + "/internal/testserver", false},
		{"cmd/antano/main.go", module + "/internal/measure/load", true},
		{"internal/measure/load/a.go", module + "/manager", true},
		{"internal/measure/load/a.go", module + "/shared/wire", false},
		{"internal/measure/rawplugin/a.go", module + "/shared/wire", true},
		{"internal/measure/rawplugin/a.go", module + "/plugin", false},
		{"internal/testserver/a.go", module + "/internal/measure/server", true},
		{"internal/testserver/a.go", module + "/chaos", false},
		{"chaos/internal/load/a.go", module + "/chaos/internal/ledger", true},
		{"chaos/main.go", module + "/shared/wire", false},
		{"examples/echo/main.go", module + "/plugin", true},
		{"elsewhere/a.go", "fmt", false},
		{"pluginsx/a.go", "fmt", false},
	} {
		s, err := parse(c.file, "package a")
		if err != nil {
			t.Fatal(err)
		}
		if got := check(s, c.imported); (got == "") != c.allowed {
			t.Errorf("%s imports %s: %q, allowed should be %t", c.file, c.imported, got, c.allowed)
		}
	}
}
