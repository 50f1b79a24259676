package params

import (
	"fmt"
	"math"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Execution says as whom and within what the processes of a service run. What is not
// given is as antano itself has it. Source: docs/operating.md "Processes of other users".
type Execution struct {
	User, Group string // names or ids; without a Group it is the user's own
	Umask       *uint32
	WorkingDir  string
	Env         map[string]string
	EnvFile     string
	Rlimits     map[string]Rlimit // by name, as nofile
	NoNewPrivs  bool
}

// Unlimited is the value of a limit that is none.
const Unlimited = math.MaxUint64

// Rlimit is a limit of the kernel for one process.
type Rlimit struct{ Soft, Hard uint64 }

// rlimitNames are the keys of `rlimits`, as setrlimit(2) has them in small letters.
var rlimitNames = []string{"as", "core", "cpu", "data", "fsize", "memlock", "nofile", "nproc", "stack"}

func executionKeys(row string) []Key {
	all := []Key{
		mapping(row+"run_as", "none"),
		text(row+"run_as.user", "required", "the name or id of a user"),
		text(row+"run_as.group", "that of the user", "the name or id of a group"),
		text(row+"umask", "that of antano", "0000 to 0777, octal, quoted"),
		text(row+"working_dir", "that of antano", "an absolute path"),
		mapping(row+"env", "none"),
		text(row+"env_file", "none", "an absolute path"),
		mapping(row+"rlimits", "none"),
	}
	for _, name := range rlimitNames {
		all = append(all, Key{Path: row + "rlimits." + name, Type: "limit", Default: "that of antano", Range: limitRange})
	}
	return append(all, Key{Path: row + "no_new_privs", Type: "boolean", Default: "true", Range: "true or false"})
}

const limitRange = `an integer, unlimited, or "soft:hard"`

func (s *section) execution() (e Execution) {
	e.NoNewPrivs = true
	if in, ok := s.section("run_as"); ok {
		in.missing("user", "run_as needs the user whose processes they will be")
		e.User, _ = in.account("user")
		e.Group, _ = in.account("group")
	}
	if mask, ok := s.permissions("umask", "0027"); ok {
		e.Umask = &mask
	}
	e.WorkingDir, _ = s.absolute("working_dir")
	e.EnvFile, _ = s.absolute("env_file")
	e.Env = s.environment("env")
	if in, ok := s.section("rlimits"); ok {
		e.Rlimits = make(map[string]Rlimit)
		for _, name := range rlimitNames {
			if limit, ok := in.limit(name); ok {
				e.Rlimits[name] = limit
			}
		}
	}
	s.setBool("no_new_privs", &e.NoNewPrivs)
	return e
}

// account returns the name or id at the key.
func (s *section) account(name string) (string, bool) {
	n, ok := s.value(name)
	if !ok {
		return "", false
	}
	if n.Kind != yaml.ScalarNode || n.Tag != "!!str" && n.Tag != "!!int" {
		s.report(name, "must be a name or an id, not %s", describe(n))
		return "", false
	}
	if _, err := strconv.ParseUint(n.Value, 10, 32); n.Tag == "!!int" && err != nil {
		s.report(name, "must be a name or an id from 0 to %d, not %s", uint32(math.MaxUint32), clip(n.Value))
		return "", false
	}
	if n.Value == "" || strings.ContainsAny(n.Value, ":\x00\n") {
		s.report(name, "must be a name or an id, not %s", quote(n.Value))
		return "", false
	}
	return n.Value, true
}

// permissions returns octal permission bits, which must be in quotes.
func (s *section) permissions(name, example string) (uint32, bool) {
	n, ok := s.value(name)
	if !ok {
		return 0, false
	}
	if n.Kind != yaml.ScalarNode || n.Tag != "!!str" {
		s.report(name, `must be octal digits in quotes, as %s: "%s", not %s; put it in quotes`, name, example, describe(n))
		return 0, false
	}
	bits, err := strconv.ParseUint(n.Value, 8, 32)
	if err != nil || bits > 0o777 || len(n.Value) < 3 || len(n.Value) > 4 {
		s.report(name, `must be octal permissions from "0000" to "0777", as "%s", not %s`, example, quote(n.Value))
		return 0, false
	}
	return uint32(bits), true
}

func (s *section) absolute(name string) (string, bool) {
	v, ok := s.text(name)
	if ok && !filepath.IsAbs(v) {
		s.report(name, "must be an absolute path, not %s", quote(v))
		return "", false
	}
	return v, ok
}

// environment returns the variables at the key.
func (s *section) environment(name string) map[string]string {
	n, ok := s.value(name)
	if !ok {
		return nil
	}
	if n.Kind != yaml.MappingNode {
		s.report(name, "must be a mapping of names to values, not %s", describe(n))
		return nil
	}
	env, lines := make(map[string]string), make(map[string]int)
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		if key.Kind == bad || value.Kind == bad {
			continue
		}
		at := join(s.key(name), key.Value)
		switch fault := VariableFault(key.Value); {
		case fault != "":
			s.d.report(key.Line, at, "%s", fault)
		case lines[key.Value] != 0:
			s.d.report(key.Line, at, "is given twice, first on line %d; remove one", lines[key.Value])
		case value.Kind != yaml.ScalarNode || value.Tag != "!!str":
			s.d.report(key.Line, at, "must be a string, not %s; put it in quotes", describe(value))
		case strings.ContainsRune(value.Value, 0):
			s.d.report(key.Line, at, "must not contain a NUL; remove it")
		default:
			env[key.Value] = value.Value
		}
		lines[key.Value] = key.Line
	}
	return env
}

var variableForm = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// VariableFault says why a plugin's environment cannot have a variable of that name;
// empty when it can. Source: docs/protocol.md "Environment".
func VariableFault(name string) string {
	switch {
	case !variableForm.MatchString(name):
		return fmt.Sprintf("is not the name of a variable: %s; use letters, digits and _", quote(name))
	case strings.HasPrefix(name, "PLUGIN_"), strings.HasPrefix(name, "LISTEN_"), strings.HasPrefix(name, "ANTANO_"):
		return "is a variable that antano itself sets for plugins; choose another name"
	}
	return ""
}

// limit returns a limit of the kernel: one value for both, or "soft:hard".
func (s *section) limit(name string) (l Rlimit, ok bool) {
	n, ok := s.value(name)
	if !ok {
		return l, false
	}
	if n.Kind != yaml.ScalarNode || n.Tag != "!!str" && n.Tag != "!!int" {
		s.report(name, "must be %s, not %s", limitRange, describe(n))
		return l, false
	}
	soft, hard, two := strings.Cut(n.Value, ":")
	if !two {
		hard = soft
	}
	var fine [2]bool
	l.Soft, fine[0] = limitValue(soft)
	l.Hard, fine[1] = limitValue(hard)
	switch {
	case !fine[0] || !fine[1]:
		s.report(name, "must be %s, not %s", limitRange, quote(n.Value))
	case l.Soft > l.Hard:
		s.report(name, "has a soft limit above the hard one, %s; lower it", quote(n.Value))
	default:
		return l, true
	}
	return Rlimit{}, false
}

func limitValue(s string) (uint64, bool) {
	if s == "unlimited" {
		return Unlimited, true
	}
	v, err := strconv.ParseUint(s, 10, 63)
	return v, err == nil && decimal.MatchString(s)
}

func (s *section) setBool(name string, to *bool) {
	n, ok := s.value(name)
	switch {
	case !ok:
	case n.Kind != yaml.ScalarNode || n.Tag != "!!bool":
		s.report(name, "must be true or false, not %s", describe(n))
	default:
		*to = strings.EqualFold(n.Value, "true")
	}
}
