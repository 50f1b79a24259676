package params

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// section is one mapping of the file: its keys are known, each given once.
type section struct {
	d      *decoder
	path   string // as it is told, with indexes
	schema string // as in the table, with []
	line   int
	given  map[string]entry

	mapping bool // it is one; otherwise that is reported and given is empty
}

type entry struct {
	line  int // of the key
	value *yaml.Node
}

var index = regexp.MustCompile(`\[\d+\]`)

// section reads the keys of n and reports those that are unknown or given twice.
// For anything but a mapping it reports that and is empty.
func (d *decoder) section(n *yaml.Node, path string) *section {
	s := &section{d: d, path: path, schema: index.ReplaceAllString(path, "[]"), line: n.Line,
		given: make(map[string]entry), mapping: n.Kind == yaml.MappingNode}
	if !s.mapping {
		if n.Kind != bad {
			d.report(n.Line, path, "must be a mapping of keys to values, not %s", describe(n))
		}
		return s
	}
	known := children[s.schema]
	for i := 0; i+1 < len(n.Content) && !d.full(); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		if key.Kind == bad {
			continue
		}
		name := key.Value
		if key.Kind != yaml.ScalarNode || key.Tag != "!!str" || !slices.Contains(known, name) {
			d.report(key.Line, join(path, name), "is not a key%s", hint(s.schema, name, known))
			continue
		}
		if first, twice := s.given[name]; twice {
			d.report(key.Line, s.key(name), "is given twice, first on line %d; remove one", first.line)
			continue
		}
		s.given[name] = entry{key.Line, value}
	}
	return s
}

func (s *section) key(name string) string { return join(s.path, name) }

func (s *section) spec(name string) Key { return specs[join(s.schema, name)] }

// has reports whether the key was given, right or wrong.
func (s *section) has(name string) bool {
	_, ok := s.given[name]
	return ok
}

// lineOf is the line of the key, or that of the section when it was not given.
func (s *section) lineOf(name string) int {
	if e, ok := s.given[name]; ok {
		return e.line
	}
	return s.line
}

func (s *section) report(name, format string, args ...any) {
	s.d.report(s.lineOf(name), s.key(name), format, args...)
}

// missing reports a key that was not given; one that was given wrongly is reported
// already.
func (s *section) missing(name, what string) {
	if !s.has(name) && s.mapping {
		s.report(name, "is missing; %s", what)
	}
}

// value returns what was given for the key, and false when nothing usable was.
func (s *section) value(name string) (*yaml.Node, bool) {
	e, ok := s.given[name]
	if !ok || e.value.Kind == bad {
		return nil, false
	}
	if e.value.Kind == yaml.ScalarNode && e.value.Tag == "!!null" {
		s.report(name, "has no value; give it one or remove the key")
		return nil, false
	}
	return e.value, true
}

// section returns the mapping at the key; ok is false when there is none.
func (s *section) section(name string) (in *section, ok bool) {
	n, ok := s.value(name)
	if !ok {
		return nil, false
	}
	in = s.d.section(n, s.key(name))
	return in, in.mapping
}

// list returns the items at the key.
func (s *section) list(name string) []*yaml.Node {
	n, ok := s.value(name)
	if !ok {
		return nil
	}
	if n.Kind != yaml.SequenceNode {
		s.report(name, "must be a list, not %s", describe(n))
		return nil
	}
	return n.Content
}

var decimal = regexp.MustCompile(`^-?(0|[1-9][0-9]*)$`)

// int returns the integer at the key, within the key's range; ok is false when none
// was given or it was wrong, which is reported.
func (s *section) int(name string) (v int64, ok bool) {
	n, ok := s.value(name)
	if !ok {
		return 0, false
	}
	spec := s.spec(name)
	if n.Kind != yaml.ScalarNode || n.Tag != "!!int" && !(n.Tag == "!!float" && decimal.MatchString(n.Value)) {
		s.report(name, "must be an integer from %s, not %s", spec.Range, describe(n))
		return 0, false
	}
	if !decimal.MatchString(n.Value) {
		s.report(name, "must be written in plain decimal digits, not as %s", quote(n.Value))
		return 0, false
	}
	v, err := strconv.ParseInt(n.Value, 10, 64)
	if err != nil || v < spec.min || v > spec.max {
		s.report(name, "must be from %s, not %s", spec.Range, clip(n.Value))
		return 0, false
	}
	return v, true
}

// setInt stores the integer at the key in to, which keeps its value otherwise.
func (s *section) setInt(name string, to *int) {
	if v, ok := s.int(name); ok {
		*to = int(v)
	}
}

// setDuration stores the duration at the key in to, which keeps its value otherwise.
func (s *section) setDuration(name string, to *time.Duration) {
	n, ok := s.value(name)
	if !ok {
		return
	}
	spec := s.spec(name)
	if n.Kind != yaml.ScalarNode || n.Tag != "!!str" && n.Value != "0" {
		s.report(name, `must be a duration with a unit, as 500ms, 5s or 2m, not %s`, describe(n))
		return
	}
	v, err := time.ParseDuration(n.Value)
	switch {
	case err != nil:
		s.report(name, `must be a duration with a unit, as 500ms, 5s or 2m, not %s`, quote(n.Value))
	case int64(v) < spec.min || int64(v) > spec.max:
		s.report(name, "must be %s, not %s", spec.Range, clip(n.Value))
	default:
		*to = v
	}
}

// text returns the string at the key; ok is false when none was given or it was
// wrong, which is reported.
func (s *section) text(name string) (v string, ok bool) {
	n, ok := s.value(name)
	if !ok {
		return "", false
	}
	switch {
	case n.Kind != yaml.ScalarNode:
		s.report(name, "must be a string, not %s", describe(n))
		return "", false
	case n.Tag != "!!str" && n.Tag != "!!timestamp":
		s.report(name, "must be a string, not %s; put it in quotes if it is meant as one", describe(n))
		return "", false
	case strings.ContainsRune(n.Value, 0):
		s.report(name, "must not contain a NUL; remove it")
		return "", false
	}
	return n.Value, true
}

// choice returns the string at the key when it is one of options.
func (s *section) choice(name string, options ...string) (v string, ok bool) {
	v, ok = s.text(name)
	if ok && !slices.Contains(options, v) {
		s.report(name, "must be %s, not %s", strings.Join(options, " or "), quote(v))
		return "", false
	}
	return v, ok
}
