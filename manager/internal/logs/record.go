package logs

import (
	"time"

	"github.com/hashicorp/go-hclog"
)

// Record is one line of a plugin, understood as far as possible.
type Record struct {
	Level   hclog.Level // Trace to Error
	Time    time.Time   // as the plugin said, else when it was read
	Message string
	Fields  []any // key, value, key, value …; keys are strings, values strings
}

// reserved keys are the manager's own tags: a plugin's get a prefix, so that it
// cannot speak for another process.
var reserved = map[string]string{
	"service": "plugin_service", "process": "plugin_process", "generation": "plugin_generation", "pid": "plugin_pid",
}

func (r *Record) add(key, value string) {
	key = cleanKey(key)
	if other, ok := reserved[key]; ok {
		key = other
	}
	r.Fields = append(r.Fields, key, value)
}

// levels are the words that stand for a level, in lower case.
var levels = map[string]hclog.Level{
	"trace": hclog.Trace, "trc": hclog.Trace,
	"debug": hclog.Debug, "dbg": hclog.Debug,
	"info": hclog.Info, "inf": hclog.Info, "notice": hclog.Info,
	"warn": hclog.Warn, "warning": hclog.Warn, "wrn": hclog.Warn,
	"error": hclog.Error, "err": hclog.Error, "fatal": hclog.Error, "panic": hclog.Error,
	"dpanic": hclog.Error, "critical": hclog.Error, "crit": hclog.Error, "alert": hclog.Error, "emerg": hclog.Error,
}
