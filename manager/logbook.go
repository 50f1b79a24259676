package manager

import (
	"fmt"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/antano/antano/manager/internal/event"
	"github.com/antano/antano/manager/internal/history"
	"github.com/antano/antano/manager/internal/logs"
)

// LogLine is a line of the manager's log or one that a plugin printed, as `antano logs
// --json` prints it. Source: docs/control.md "Log line".
type LogLine struct {
	Seq        uint64            `json:"seq"` // counts the lines of a server from 1; 0 of a gap
	Time       time.Time         `json:"time"`
	Level      string            `json:"level"`
	Source     string            `json:"source"` // plugin, manager
	Stream     string            `json:"stream,omitempty"`
	Service    string            `json:"service,omitempty"`
	ProcessID  *int              `json:"process_id,omitempty"`
	Generation int               `json:"generation,omitempty"`
	PID        int               `json:"pid,omitempty"`
	Message    string            `json:"message"`
	Fields     map[string]string `json:"fields,omitempty"`
	Missed     uint64            `json:"missed,omitempty"`
}

const (
	sourceManager = "manager"
	sourcePlugin  = "plugin"
)

// logBytes bounds the memory of past lines, of which each costs about lineSize beside
// its text, and fieldsSize more when it has fields.
const (
	logBytes   = 4 << 20
	lineSize   = 192
	fieldsSize = 320
)

func newLogs() *history.Ring[LogLine] { return history.New[LogLine](logBytes) }

// logbook is a sink that remembers what the manager logs before it passes it on. What
// is below the level of the log is not remembered, unless it is at least information.
type logbook struct {
	lines *history.Ring[LogLine] // nil: nothing is remembered
	level hclog.Level
	log   hclog.Logger
}

// keepLog returns a logger that logs to log and remembers in lines, and the book by
// which others do.
func keepLog(log hclog.Logger, lines *history.Ring[LogLine]) (hclog.Logger, *logbook) {
	book := &logbook{lines: lines, level: min(hclog.Info, max(log.GetLevel(), hclog.Trace)), log: log}
	l := hclog.NewInterceptLogger(&hclog.LoggerOptions{Level: hclog.Off})
	l.RegisterSink(book)
	return l, book
}

// Accept implements hclog.SinkAdapter.
func (b *logbook) Accept(_ string, level hclog.Level, message string, args ...any) {
	line := LogLine{Source: sourceManager, Message: message}
	for i := 0; i+1 < len(args); i += 2 {
		line.add(fmt.Sprint(args[i]), args[i+1])
	}
	b.keep(level, line)
	b.log.Log(level, message, args...)
}

// plugin remembers what a process printed and logs it.
func (b *logbook) plugin(ref event.Ref, stream string, rec logs.Record, log hclog.Logger, args []any) {
	line := LogLine{Source: sourcePlugin, Stream: stream, Time: rec.Time, Message: rec.Message, Service: ref.Name,
		ProcessID: &ref.Process, Generation: ref.Generation, PID: ref.PID}
	for i := 0; i+1 < len(rec.Fields); i += 2 {
		line.field(fmt.Sprint(rec.Fields[i]), fmt.Sprint(rec.Fields[i+1]))
	}
	b.keep(rec.Level, line)
	log.Log(rec.Level, rec.Message, args...)
}

func (b *logbook) keep(level hclog.Level, line LogLine) {
	if b.lines == nil || level < b.level {
		return
	}
	line.Level = level.String()
	if line.Time.IsZero() {
		line.Time = time.Now()
	}
	size := lineSize + len(line.Message)
	if line.Fields != nil {
		size += fieldsSize
	}
	for k, v := range line.Fields {
		size += len(k) + len(v)
	}
	b.lines.Add(size, func(sequence uint64) LogLine {
		line.Seq = sequence
		return line
	})
}

// add takes one of the manager's own tags.
func (l *LogLine) add(key string, value any) {
	switch v := value.(type) {
	case int:
		switch key {
		case "process":
			l.ProcessID = &v
			return
		case "generation":
			l.Generation = v
			return
		case "pid":
			l.PID = v
			return
		}
	case string:
		if key == "service" {
			l.Service = v
			return
		}
	}
	l.field(key, fmt.Sprint(value))
}

func (l *LogLine) field(key, value string) {
	if l.Fields == nil {
		l.Fields = map[string]string{}
	}
	l.Fields[key] = value
}
