package params

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"sort"
	"strconv"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

const (
	maxFile  = 1 << 20 // bytes of a params file
	maxDepth = 32      // mappings and lists within each other
)

// bad is the kind of a node that was reported already, so that nobody reports it
// again: the zero kind, which the parser never makes.
const bad yaml.Kind = 0

// document reads the text and returns its root, or nil when the text is not well
// formed. Both languages become the same tree, so that everything behind this has
// one way to find lines.
func (d *decoder) document(data []byte) *yaml.Node {
	if len(data) > maxFile {
		d.report(1, "", "is larger than 1 MiB; a params file must not be")
		return nil
	}
	data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))
	if at := invalidUTF8(data); at >= 0 {
		d.report(lineAt(data, at), "", "is not valid UTF-8; save the file as UTF-8")
		return nil
	}
	root, err := d.parse(data)
	if err != nil {
		line, text := d.syntaxError(data, err)
		d.report(line, "", "is not well formed: %s", text)
		return nil
	}
	if root == nil || root.Kind == yaml.ScalarNode && root.Tag == "!!null" {
		d.report(1, "active_service", "is missing because there is nothing in the file; list at least one service")
		return nil
	}
	d.screen(root, "", 0)
	return root
}

func (d *decoder) parse(data []byte) (*yaml.Node, error) {
	if strings.HasSuffix(d.file, ".json") || validJSON(data) {
		return parseJSON(data)
	}
	return d.parseYAML(data)
}

// parseYAML returns nil for a text without a document.
func (d *decoder) parseYAML(data []byte) (*yaml.Node, error) {
	dec := yaml.NewDecoder(bytes.NewReader(data))
	var doc, more yaml.Node
	if err := dec.Decode(&doc); errors.Is(err, io.EOF) {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	switch err := dec.Decode(&more); {
	case err == nil:
		d.report(more.Line, "", "begins a second document; keep one document in a file")
	case !errors.Is(err, io.EOF):
		return nil, err
	}
	return doc.Content[0], nil
}

// screen refuses what params have no use for and what could be a bomb: anchors,
// aliases, tags and deep nesting. What it refused is cut out of the tree.
func (d *decoder) screen(n *yaml.Node, path string, depth int) {
	switch {
	case n.Kind == yaml.AliasNode || n.Anchor != "":
		d.report(n.Line, path, "uses an anchor or alias; write the value out")
	case n.Style&yaml.TaggedStyle != 0:
		d.report(n.Line, path, "has the tag %s; remove the tag", quote(n.Tag))
	case depth > maxDepth:
		d.report(n.Line, path, "is nested more than %d levels deep; make it flatter", maxDepth)
	default:
		d.screenInside(n, path, depth+1)
		return
	}
	*n = yaml.Node{Kind: bad, Line: n.Line}
}

func (d *decoder) screenInside(n *yaml.Node, path string, depth int) {
	switch n.Kind {
	case yaml.MappingNode:
		for i := 0; i+1 < len(n.Content); i += 2 {
			at := join(path, n.Content[i].Value)
			d.screen(n.Content[i], at, depth)
			d.screen(n.Content[i+1], at, depth)
		}
	case yaml.SequenceNode:
		for i, item := range n.Content {
			d.screen(item, fmt.Sprintf("%s[%d]", path, i), depth)
		}
	}
}

// syntaxError says where and how the text is broken.
func (d *decoder) syntaxError(data []byte, err error) (line int, text string) {
	var syntax *jsonError
	if errors.As(err, &syntax) {
		return lineAt(data, syntax.offset), syntax.text
	}
	text = yamlFault(err) + "; check indentation, quotes and brackets on this line and before"
	if len(data) <= maxSearch {
		return firstBroken(data, yamlFault(err)), text
	}
	line, _ = strconv.Atoi(yamlLine.FindStringSubmatch(err.Error())[2])
	return max(line, 1), text
}

// maxSearch is the largest text that is parsed again and again to find a mistake.
const maxSearch = 64 << 10

var yamlLine = regexp.MustCompile(`^(yaml: )?(?:line (\d+): )?`)

// yamlFault is what the YAML parser says without its line, which is that of the
// block around the mistake, and off by one for some.
func yamlFault(err error) string { return yamlLine.ReplaceAllString(err.Error(), "") }

// firstBroken finds the line with which fault comes up: the text before it does not
// have that fault.
func firstBroken(data []byte, fault string) int {
	lines := bytes.SplitAfter(data, []byte("\n"))
	return 1 + sort.Search(len(lines)-1, func(i int) bool {
		_, err := new(decoder).parseYAML(bytes.Join(lines[:i+1], nil))
		return err != nil && yamlFault(err) == fault
	})
}

func invalidUTF8(data []byte) int {
	for at := 0; at < len(data); {
		r, size := utf8.DecodeRune(data[at:])
		if r == utf8.RuneError && size == 1 {
			return at
		}
		at += size
	}
	return -1
}

// lineAt is the line, from 1, of the byte at offset.
func lineAt(data []byte, offset int) int {
	return 1 + bytes.Count(data[:min(offset, len(data))], []byte("\n"))
}
