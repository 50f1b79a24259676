package params

import (
	"regexp"
	"strings"

	"go.yaml.in/yaml/v3"
)

var plainKey = regexp.MustCompile(`^[A-Za-z0-9_.-]{1,64}$`)

// join appends a key to a path; a key that would garble a line is quoted.
func join(path, name string) string {
	if !plainKey.MatchString(name) {
		name = quote(name)
	}
	if path == "" {
		return name
	}
	return path + "." + name
}

// describe says what a value is, as it completes "must be …, not …".
func describe(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "a mapping"
	case yaml.SequenceNode:
		return "a list"
	}
	switch n.Tag {
	case "!!int", "!!float":
		return "the number " + clip(n.Value)
	case "!!bool":
		return "the truth value " + clip(n.Value)
	case "!!null":
		return "nothing"
	}
	return "the text " + quote(n.Value)
}

// clip shows a short literal as it stands in the file.
func clip(literal string) string {
	q := quote(literal)
	return q[1 : len(q)-1]
}

// hint ends the sentence about an unknown key with what was probably meant.
func hint(schema, name string, known []string) string {
	if best := nearest(name, known); best != "" {
		return "; did you mean " + best + "?"
	}
	for _, k := range keys {
		if parent, last := cutLast(k.Path); last == name && parent != schema {
			return " here; it belongs to " + owner(parent)
		}
	}
	return "; the keys here are " + strings.Join(known, ", ")
}

func owner(path string) string {
	if path == "" {
		return "the top of the file"
	}
	return path
}

// cutLast separates the name of a key from the path of its mapping.
func cutLast(path string) (parent, name string) {
	at := strings.LastIndexByte(path, '.')
	if at < 0 {
		return "", path
	}
	return path[:at], path[at+1:]
}

// nearest returns the candidate that word is most likely a slip of, or "".
func nearest(word string, candidates []string) string {
	if len(word) > 64 {
		return ""
	}
	best, least := "", max(1, len(word)/3)+1
	for _, c := range candidates {
		if n := distance(strings.ToLower(word), c); n < least {
			best, least = c, n
		}
	}
	return best
}

// distance is the number of slips from a to b, by bytes: one wrong, missing, extra
// or swapped with its neighbour.
func distance(a, b string) int {
	before, last := make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := range len(a) {
		row := make([]int, len(b)+1)
		row[0] = i + 1
		for j := range len(b) {
			change := last[j]
			if a[i] != b[j] {
				change++
			}
			row[j+1] = min(change, row[j]+1, last[j+1]+1)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				row[j+1] = min(row[j+1], before[j-1]+1)
			}
		}
		before, last = last, row
	}
	return last[len(b)]
}
