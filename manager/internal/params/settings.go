package params

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/big"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// settings turns the plugin's own part into JSON, integers exact.
func (s *section) settings(r *Row) {
	n, ok := s.value("settings")
	if !ok {
		return
	}
	if n.Kind != yaml.MappingNode {
		s.report("settings", "must be a mapping of keys to values, not %s", describe(n))
		return
	}
	var b bytes.Buffer
	s.d.appendJSON(&b, n, s.key("settings"))
	r.Settings = b.Bytes()
}

func (d *decoder) appendJSON(b *bytes.Buffer, n *yaml.Node, path string) {
	switch n.Kind {
	case yaml.MappingNode:
		d.appendObject(b, n, path)
	case yaml.SequenceNode:
		b.WriteByte('[')
		for i, item := range n.Content {
			if i > 0 {
				b.WriteByte(',')
			}
			d.appendJSON(b, item, fmt.Sprintf("%s[%d]", path, i))
		}
		b.WriteByte(']')
	case yaml.ScalarNode:
		d.appendScalar(b, n, path)
	}
}

func (d *decoder) appendObject(b *bytes.Buffer, n *yaml.Node, path string) {
	lines := make(map[string]int)
	b.WriteByte('{')
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		if key.Kind == bad {
			continue
		}
		at := join(path, key.Value)
		if key.Kind != yaml.ScalarNode || key.Tag != "!!str" {
			d.report(key.Line, at, "must have a string as its key; put the key in quotes")
			continue
		}
		if first, twice := lines[key.Value]; twice {
			d.report(key.Line, at, "is given twice, first on line %d; remove one", first)
			continue
		}
		if len(lines) > 0 {
			b.WriteByte(',')
		}
		lines[key.Value] = key.Line
		appendString(b, key.Value)
		b.WriteByte(':')
		d.appendJSON(b, value, at)
	}
	b.WriteByte('}')
}

var jsonNumber = regexp.MustCompile(`^-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?$`)

func (d *decoder) appendScalar(b *bytes.Buffer, n *yaml.Node, path string) {
	quoted := n.Style&(yaml.DoubleQuotedStyle|yaml.SingleQuotedStyle|yaml.LiteralStyle|yaml.FoldedStyle) != 0
	switch {
	case n.Tag == "!!null":
		b.WriteString("null")
	case n.Tag == "!!bool":
		b.WriteString(strings.ToLower(n.Value))
	case !quoted && jsonNumber.MatchString(n.Value):
		if _, err := strconv.ParseFloat(n.Value, 64); err != nil {
			d.report(n.Line, path, "is %s, out of the range of numbers; put it in quotes", clip(n.Value))
		}
		b.WriteString(n.Value)
	case n.Tag == "!!int" || n.Tag == "!!float":
		d.appendNumber(b, n, path)
	default:
		appendString(b, n.Value)
	}
}

// appendNumber writes a number that YAML spells in its own way: 0x1f, 1_000, .5.
func (d *decoder) appendNumber(b *bytes.Buffer, n *yaml.Node, path string) {
	plain := strings.ReplaceAll(n.Value, "_", "")
	if v, ok := new(big.Int).SetString(plain, 0); ok && n.Tag == "!!int" {
		b.WriteString(v.String())
		return
	}
	v, err := strconv.ParseFloat(plain, 64)
	text, fault := json.Marshal(v)
	if err != nil || fault != nil {
		d.report(n.Line, path, "is %s, which JSON has no number for; put it in quotes", clip(n.Value))
		return
	}
	b.Write(text)
}

// appendString leaves <, > and & as they are, unlike json.Marshal.
func appendString(b *bytes.Buffer, s string) {
	enc := json.NewEncoder(b)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(s) // a string always encodes
	b.Truncate(b.Len() - 1)
}
