package params

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strings"

	"go.yaml.in/yaml/v3"
)

// jsonError is a mistake in the syntax of JSON at a byte offset.
type jsonError struct {
	offset int
	text   string
}

func (e *jsonError) Error() string { return e.text }

func validJSON(data []byte) bool {
	start := bytes.TrimLeft(data, " \t\r\n")
	return len(start) > 0 && (start[0] == '{' || start[0] == '[') && json.Valid(data)
}

// parseJSON builds the tree that the YAML parser would. It is needed because JSON
// is not quite YAML: tabs, escaped surrogate pairs and long keys differ.
func parseJSON(data []byte) (*yaml.Node, error) {
	if len(bytes.TrimSpace(data)) == 0 {
		return nil, nil
	}
	var syntax *json.SyntaxError
	if err := json.Unmarshal(data, new(json.RawMessage)); errors.As(err, &syntax) {
		// Offset is behind the byte that was wrong.
		return nil, &jsonError{offset: max(int(syntax.Offset)-1, 0), text: syntax.Error() + "; check the JSON here and before"}
	} else if err != nil {
		return nil, &jsonError{text: err.Error()}
	}
	t := &jsonTree{data: data, dec: json.NewDecoder(bytes.NewReader(data)), line: 1}
	t.dec.UseNumber()
	return t.value()
}

// jsonTree builds nodes from tokens and keeps count of the lines. The text is known
// to be valid, so its nesting is bounded by encoding/json.
type jsonTree struct {
	data []byte
	dec  *json.Decoder
	done int // offset up to which lines are counted
	line int
}

func (t *jsonTree) value() (*yaml.Node, error) {
	token, err := t.dec.Token()
	if err != nil {
		return nil, &jsonError{offset: t.done, text: err.Error()}
	}
	// The offset is that of the token's end; no token of JSON spans lines.
	end := int(t.dec.InputOffset())
	t.line += bytes.Count(t.data[t.done:end], []byte("\n"))
	t.done = end
	n := &yaml.Node{Kind: yaml.ScalarNode, Line: t.line}
	switch v := token.(type) {
	case json.Delim:
		return t.inside(n, v)
	case string:
		n.Tag, n.Value, n.Style = "!!str", v, yaml.DoubleQuotedStyle
	case json.Number:
		n.Tag, n.Value = "!!int", v.String()
		if strings.ContainsAny(n.Value, ".eE") {
			n.Tag = "!!float"
		}
	case bool:
		n.Tag, n.Value = "!!bool", "false"
		if v {
			n.Value = "true"
		}
	case nil:
		n.Tag, n.Value = "!!null", "null"
	}
	return n, nil
}

// inside reads the members of n up to and with the closing token.
func (t *jsonTree) inside(n *yaml.Node, open json.Delim) (*yaml.Node, error) {
	n.Kind, n.Tag = yaml.SequenceNode, "!!seq"
	if open == '{' {
		n.Kind, n.Tag = yaml.MappingNode, "!!map"
	}
	for t.dec.More() {
		child, err := t.value()
		if err != nil {
			return nil, err
		}
		n.Content = append(n.Content, child)
	}
	if _, err := t.dec.Token(); err != nil && !errors.Is(err, io.EOF) {
		return nil, &jsonError{offset: t.done, text: err.Error()}
	}
	return n, nil
}
