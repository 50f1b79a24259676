package params

import (
	"fmt"
	"regexp"
	"strconv"
)

// InternalName is the name of the internal service, which no row may take.
const InternalName = "internal"

var nameForm = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9._-]*$`)

// name returns the name at the key. A name goes into commands beside ids and into
// file names, so it must not be read as a number, a flag or a path.
func (s *section) name(key string, longest int) (string, bool) {
	v, ok := s.text(key)
	if !ok {
		return "", false
	}
	switch {
	case !nameForm.MatchString(v) || len(v) > longest:
		s.report(key, "must be 1 to %d of the characters a-z, A-Z, 0-9, '.', '_' and '-', not begin with '.' or '-', and is %s",
			longest, quote(v))
		return "", false
	case numeric(v):
		s.report(key, "looks like a number, %s, and commands would take it for an id; add a letter", quote(v))
		return "", false
	}
	return v, true
}

func numeric(s string) bool {
	if s[0] < '0' || s[0] > '9' {
		return false
	}
	_, notFloat := strconv.ParseFloat(s, 64)
	_, notInt := strconv.ParseInt(s, 0, 64)
	return notFloat == nil || notInt == nil
}

// nameRows sees to it that every row has a name of its own: those that are given
// first, then the type's name, then type and id.
func (d *decoder) nameRows(rows []Row) {
	owner := make(map[string]*Row)
	for i := range rows {
		r := &rows[i]
		if r.Name == "" {
			continue
		}
		if r.Name == InternalName {
			d.reportRow(r, "name", "%s is the internal service; choose another name", r.Name)
		} else if first := owner[r.Name]; first != nil {
			d.reportRow(r, "name", "%s is already the service on line %d; choose another name", r.Name, first.Line)
		} else {
			owner[r.Name] = r
		}
	}
	for i := range rows {
		r := &rows[i]
		if r.Name != "" || r.ServiceType == "" || r.lines["name"] != 0 {
			continue
		}
		r.Name = r.ServiceType
		if owner[r.Name] != nil || r.Name == InternalName {
			r.Name = fmt.Sprintf("%s-%d", r.ServiceType, r.ID)
		}
		if first := owner[r.Name]; first != nil && r.ID != 0 {
			d.reportRow(r, "name", "is not given and would be %s, which is the service on line %d; give this one a name",
				r.Name, first.Line)
			continue
		}
		owner[r.Name] = r
	}
}
