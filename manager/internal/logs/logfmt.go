package logs

import (
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// parseLogfmt takes key=value pairs that have a level among them.
func parseLogfmt(line string, r *Record) bool {
	type pair struct{ key, value string }
	var pairs []pair
	leveled := false
	level := r.Level
	for rest := line; rest != "" && len(pairs) < maxFields; {
		key, value, after, ok := nextPair(rest)
		if !ok {
			return false
		}
		rest = after
		if !leveled && (key == "level" || key == "lvl" || key == "severity") {
			if level, leveled = levels[levelWord(value)]; leveled {
				continue
			}
			level = r.Level
		}
		pairs = append(pairs, pair{key, value})
	}
	if !leveled {
		return false
	}
	r.Level = level
	for _, p := range pairs {
		switch p.key {
		case "msg", "message":
			r.Message = clean(p.value)
			continue
		case "time", "ts", "timestamp":
			if at, err := time.Parse(time.RFC3339Nano, p.value); err == nil {
				r.Time = at
				continue
			}
		}
		r.add(p.key, clean(p.value))
	}
	return true
}

// nextPair reads key=value or key="quoted value", and the spaces behind it.
func nextPair(s string) (key, value, rest string, ok bool) {
	i := strings.IndexByte(s, '=')
	if i <= 0 || strings.ContainsAny(s[:i], " \t\"{}[]") || !utf8.ValidString(s[:i]) {
		return "", "", "", false
	}
	key, s = s[:i], s[i+1:]
	if strings.HasPrefix(s, `"`) {
		quoted, err := strconv.QuotedPrefix(s)
		if err != nil {
			return "", "", "", false
		}
		if value, err = strconv.Unquote(quoted); err != nil {
			return "", "", "", false
		}
		rest = s[len(quoted):]
		if rest != "" && rest[0] != ' ' {
			return "", "", "", false
		}
		return key, value, strings.TrimLeft(rest, " "), true
	}
	value, rest, _ = strings.Cut(s, " ")
	return key, value, strings.TrimLeft(rest, " "), true
}
