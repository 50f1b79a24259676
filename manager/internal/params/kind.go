package params

import (
	"fmt"
	"strings"

	"github.com/antano/antano/shared"
)

// serviceType finds the type that the row names by id, by name or by both.
func (s *section) serviceType(types []ServiceType) (ServiceType, bool) {
	id, hasID := s.int("service_type_id")
	name, hasName := s.text("service_type")
	if !s.has("service_type_id") {
		s.missing("service_type", "name the type, as service_type: tcp, or give service_type_id")
	}
	var byID, byName ServiceType
	var names []string
	for _, t := range types {
		if hasID && t.ID == int(id) {
			byID = t
		}
		if hasName && t.Name == name {
			byName = t
		}
		names = append(names, t.Name)
	}
	switch {
	case hasID && byID.Name == "":
		s.report("service_type_id", "%d is not known; built in are 1 udp, 2 tcp, 3 unix, 4 websocket, 5 rest, and service_type lists others", id)
	case hasName && byName.Name == "":
		s.report("service_type", "%s is not known%s", quote(name), typeHint(name, names))
	case hasID && hasName && byID != byName:
		s.report("service_type", "is %s, but service_type_id %d is %s; remove one of the two", name, id, byID.Name)
	case hasName:
		return byName, true
	case hasID:
		return byID, true
	}
	return ServiceType{}, false
}

func typeHint(name string, names []string) string {
	if best := nearest(name, names); best != "" {
		return "; did you mean " + best + "?"
	}
	return "; use one of " + strings.Join(names, ", ") + ", or add it to the list service_type"
}

// formats reads the formats of both directions.
func (s *section) formats(r *Row) {
	r.MessageFormatIn = s.format("message_format_in")
	r.MessageFormatOut = s.format("message_format_out")
}

// format finds the format that the row names by id, by name or by both; JSON when
// by neither.
func (s *section) format(key string) shared.FormatID {
	id, hasID := s.int(key + "_id")
	name, hasName := s.text(key)
	byID := shared.FormatID(id)
	byName, known := shared.ParseFormat(name)
	switch {
	case hasName && !known:
		s.report(key, "%s is not known; use json, msgpack, text or binary", quote(name))
	case hasID && hasName && byID != byName:
		s.report(key, "is %s, but %s_id %d is %v; remove one of the two", name, key, id, byID)
	case hasName:
		return byName
	case hasID:
		return byID
	}
	return shared.FormatJSON
}

// framingFault says why the framing that a row gives cannot carry its formats.
func framingFault(r *Row) string {
	if r.framing != shared.FramingLine {
		return ""
	}
	for _, f := range []shared.FormatID{r.MessageFormatIn, r.MessageFormatOut} {
		if shared.DefaultFraming(f) != shared.FramingLine {
			return fmt.Sprintf("line cannot carry %v, which may contain newlines; use length32", f)
		}
	}
	return ""
}
