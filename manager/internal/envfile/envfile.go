// Package envfile reads files of variables, NAME=value a line. Source: docs/params.md,
// `env_file`.
package envfile

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
)

// maxFile bounds a file; the kernel takes 128 KiB for one variable.
const maxFile = 1 << 20

// Variable is one line of a file.
type Variable struct {
	Name, Value string
	Line        int
}

// Load reads the file at path. The error names it, and the line that is wrong.
func Load(path string) ([]Variable, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, err
	}
	if len(data) > maxFile {
		return nil, fmt.Errorf("%s is larger than 1 MiB", path)
	}
	all, line, err := Parse(string(data))
	if err != nil {
		return nil, fmt.Errorf("%s:%d: %w", path, line, err)
	}
	return all, nil
}

// Parse reads text; with an error, line is the one that is wrong. Whether names are
// allowed is for the caller to say. Nothing is expanded, and a value that is in quotes
// ends on its line; errors show no values, which may be secrets.
func Parse(text string) (all []Variable, line int, err error) {
	for text != "" {
		var row string
		row, text, _ = strings.Cut(text, "\n")
		line++
		row = strings.TrimSpace(row)
		if row == "" || row[0] == '#' {
			continue
		}
		name, value, ok := strings.Cut(row, "=")
		if !ok {
			return nil, line, errors.New("a line must be NAME=value, and this one has no =")
		}
		if value, err = unquote(strings.TrimSpace(value)); err != nil {
			return nil, line, err
		}
		if strings.ContainsRune(value, 0) {
			return nil, line, errors.New("a value must not contain a NUL")
		}
		all = append(all, Variable{strings.TrimSpace(name), value, line})
	}
	return all, 0, nil
}

// unquote takes a pair of quotes away; in double ones \" and \\ stand for " and \.
func unquote(value string) (string, error) {
	if value == "" || value[0] != '"' && value[0] != '\'' {
		return value, nil
	}
	quote, inside := value[0], value[1:]
	var b strings.Builder
	for i := 0; i < len(inside); i++ {
		switch c := inside[i]; {
		case c == quote && i == len(inside)-1:
			return b.String(), nil
		case c == quote:
			return "", errors.New("something follows the closing quote")
		case c == '\\' && quote == '"' && i+1 < len(inside) && (inside[i+1] == '"' || inside[i+1] == '\\'):
			i++
			b.WriteByte(inside[i])
		default:
			b.WriteByte(c)
		}
	}
	return "", fmt.Errorf("a value begins with %c and does not end with it", quote)
}
