package params

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"unicode/utf8"
)

// maxIssues bounds what a hostile file can make us say.
const maxIssues = 1000

// decoder collects the issues of one file.
type decoder struct {
	file   string
	issues []Issue
	seen   map[place]bool
}

type place struct {
	line int
	key  string
}

// report notes an issue of the decoder's file.
func (d *decoder) report(line int, key, format string, args ...any) {
	d.add(Issue{File: d.file, Line: line, Key: key, Text: fmt.Sprintf(format, args...)})
}

// add notes an issue. Only the first at one place is kept: what follows from a
// wrong value is not a second mistake.
func (d *decoder) add(i Issue) {
	at := place{i.Line, i.Key}
	if d.full() || d.seen[at] {
		return
	}
	if d.seen == nil {
		d.seen = make(map[place]bool)
	}
	d.seen[at] = true
	if len(d.issues) == maxIssues-1 {
		i.Text += " (there are more issues than are shown)"
	}
	d.issues = append(d.issues, i)
}

// full reports whether no more issues are kept.
func (d *decoder) full() bool { return len(d.issues) >= maxIssues }

// err returns the issues by line, or nil when there are none.
func (d *decoder) err() error {
	if len(d.issues) == 0 {
		return nil
	}
	slices.SortStableFunc(d.issues, func(a, b Issue) int { return cmp.Compare(a.Line, b.Line) })
	return Errors(d.issues)
}

// quote shows text from the file, cut to a length that fits a line.
func quote(s string) string {
	const shown = 40
	if utf8.RuneCountInString(s) > shown {
		return strconv.Quote(string([]rune(s)[:shown]) + "…")
	}
	return strconv.Quote(s)
}
