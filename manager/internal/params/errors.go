package params

import (
	"errors"
	"fmt"
	"strings"
)

// ErrAmbiguousServer is returned by SelectServer when several servers are listed
// and none was asked for: wrong usage.
var ErrAmbiguousServer = errors.New("several servers are listed")

// Issue is one mistake in a params file. Line counts from 1; Key is the path of the
// key, as `active_service[0].port` with indexes from 0, and empty when the text
// itself is not well formed.
type Issue struct {
	File string
	Line int
	Key  string
	Text string // a sentence that says what to change
}

func (i Issue) String() string {
	if i.Key == "" {
		return fmt.Sprintf("%s:%d: %s", i.File, i.Line, i.Text)
	}
	return fmt.Sprintf("%s:%d: %s: %s", i.File, i.Line, i.Key, i.Text)
}

// Errors is all that is wrong with params, ordered by line. Source: docs/params.md.
type Errors []Issue

// Error returns one line for each issue: `file:line: key: text`.
func (e Errors) Error() string {
	lines := make([]string, len(e))
	for i, issue := range e {
		lines[i] = issue.String()
	}
	return strings.Join(lines, "\n")
}
