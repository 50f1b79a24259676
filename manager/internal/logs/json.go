package logs

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"time"
)

// The keys under which loggers put what every record has; the first found counts.
var (
	messageKeys = []string{"@message", "msg", "message"}
	levelKeys   = []string{"@level", "level", "lvl", "severity"}
	timeKeys    = []string{"@timestamp", "time", "ts", "timestamp"}
)

// maxFields bounds the fields of one record; the rest is left out.
const maxFields = 64

// parseJSON takes an object that has a message or a level as a string. Any other
// JSON is just text.
func parseJSON(line string, r *Record) bool {
	var object map[string]json.RawMessage
	if json.Unmarshal([]byte(line), &object) != nil {
		return false
	}
	message, hasMessage := take(object, messageKeys, func(string) bool { return true })
	word, hasLevel := take(object, levelKeys, func(s string) bool { _, ok := levels[levelWord(s)]; return ok })
	if !hasMessage && !hasLevel {
		return false
	}
	if hasLevel {
		r.Level = levels[levelWord(word)]
	}
	take(object, timeKeys, func(s string) bool {
		at, err := time.Parse(time.RFC3339Nano, s)
		if err == nil {
			r.Time = at
		}
		return err == nil
	})
	r.Message = clean(message)
	for i, key := range slices.Sorted(maps.Keys(object)) {
		if i == maxFields {
			break
		}
		r.add(key, valueText(object[key]))
	}
	return true
}

// take removes and returns the first of keys whose value is a string that fits.
func take(object map[string]json.RawMessage, keys []string, fits func(string) bool) (string, bool) {
	for _, key := range keys {
		var s *string
		if raw, ok := object[key]; ok && json.Unmarshal(raw, &s) == nil && s != nil && fits(*s) {
			delete(object, key)
			return *s, true
		}
	}
	return "", false
}

// levelWord reads slog's DEBUG-4 and ERROR+2 too.
func levelWord(s string) string {
	if i := strings.IndexAny(s, "+-"); i > 0 {
		s = s[:i]
	}
	return strings.ToLower(strings.TrimSpace(s))
}

// valueText is a string as it is, anything else as JSON.
func valueText(raw json.RawMessage) string {
	var s string
	if len(raw) > 0 && raw[0] == '"' && json.Unmarshal(raw, &s) == nil {
		return clean(s)
	}
	return clean(string(raw))
}
