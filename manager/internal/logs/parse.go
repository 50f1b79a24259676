package logs

import (
	"regexp"
	"strings"
	"time"

	"github.com/hashicorp/go-hclog"
)

// parse understands one line. structured is false when the level is only the given
// default: the line may then belong to a panic.
func parse(line string, now time.Time, level hclog.Level) (r Record, structured bool) {
	r = Record{Level: level, Time: now}
	trimmed := strings.TrimSpace(line)
	if strings.HasPrefix(trimmed, "{") && parseJSON(trimmed, &r) {
		return r, true
	}
	if parseLogfmt(trimmed, &r) || parsePrefix(trimmed, &r) {
		return r, true
	}
	r.Message = clean(line)
	return r, false
}

var (
	// [INFO] text, [info]: text
	bracketed = regexp.MustCompile(`^\[\s*([A-Za-z]{3,8})\s*\]:?\s*`)
	// INFO text, INFO: text, INFO[0001] text; a word in lower case could begin a sentence
	upper = regexp.MustCompile(`^([A-Z]{3,8})(?:\[\d+\])?(?::\s*|\s+|$)`)
	// error: text
	lower = regexp.MustCompile(`^([A-Za-z]{3,8}):\s+`)
	// 2026-01-02T03:04:05.678Z, 2026/01/02 03:04:05, 03:04:05.678
	stamp = regexp.MustCompile(`^\[?(\d{4}[-/]\d\d[-/]\d\d([T ]\d\d:\d\d:\d\d[.,\d]*(Z|[+-]\d\d:?\d\d)?)?|\d\d:\d\d:\d\d[.,\d]*)\]?:?\s+`)
	// I0102 03:04:05.678 of glog and klog
	glog = regexp.MustCompile(`^([IWEF])\d{4} \d\d:\d\d:\d\d`)
)

var glogLevels = map[string]hclog.Level{"I": hclog.Info, "W": hclog.Warn, "E": hclog.Error, "F": hclog.Error}

// parsePrefix takes a level in front of the text, which may follow a time.
func parsePrefix(line string, r *Record) bool {
	if m := glog.FindStringSubmatch(line); m != nil {
		r.Level, r.Message = glogLevels[m[1]], clean(line)
		return true
	}
	rest, at := line, time.Time{}
	if m := stamp.FindStringSubmatch(line); m != nil {
		rest = line[len(m[0]):]
		at, _ = time.Parse(time.RFC3339Nano, m[1])
	}
	for _, pattern := range []*regexp.Regexp{bracketed, upper, lower} {
		m := pattern.FindStringSubmatch(rest)
		if m == nil {
			continue
		}
		level, ok := levels[strings.ToLower(m[1])]
		if !ok || pattern == lower && strings.EqualFold(m[1], "panic") {
			continue // "panic: …" is Go's
		}
		r.Level, r.Message = level, clean(rest[len(m[0]):])
		if !at.IsZero() {
			r.Time = at
		}
		return true
	}
	return false
}
