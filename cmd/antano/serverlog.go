package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/DeRuina/timberjack"
	"github.com/coreos/go-systemd/v22/journal"
	"github.com/hashicorp/go-hclog"
	"github.com/spf13/cobra"

	"github.com/antano/antano/manager"
)

// A log file is rotated at logFileSize MiB, which is more than maxPending, and logFiles
// older ones are kept.
const (
	logFileSize = 64
	logFiles    = 10
)

// serverLog is where a server logs to: standard error, in the form of journald when that
// reads it, or files in a directory.
type serverLog struct {
	level, format, dir string
	stderr             io.Writer
	open               []*logWriter
	files              io.Closer // nil: there are none
}

func (l *serverLog) register(c *cobra.Command) {
	c.Flags().StringVarP(&l.level, "log-level", "l", "info", "trace, debug, info, warn or error")
	c.Flags().StringVar(&l.format, "log-format", "text", "text or json")
	c.Flags().StringVar(&l.dir, "log-dir", "", "directory for log files (default: log_dir of params, else the log goes to standard error)")
}

// begin opens the log on standard error, and returns what else can be printed to.
func (l *serverLog) begin(stderr io.Writer) (hclog.Logger, io.Writer, error) {
	l.stderr = stderr
	level, err := l.check()
	if err != nil {
		return nil, nil, err
	}
	w := newLogWriter(stderr, nil)
	l.open = append(l.open, w)
	options := &hclog.LoggerOptions{Name: "antano", Level: level, Output: w, JSONFormat: l.format == "json"}
	if is, err := journal.StderrIsJournalStream(); err == nil && is {
		options.Output, options.DisableTime = journaled{w}, l.format != "json" // it notes the time itself
	}
	return hclog.New(options), w, nil
}

func (l *serverLog) check() (hclog.Level, error) {
	level := hclog.LevelFromString(l.level)
	if level == hclog.NoLevel {
		return level, usageError("--log-level %q is not trace, debug, info, warn or error", l.level)
	}
	if l.format != "text" && l.format != "json" {
		return level, usageError("--log-format %q is not text or json", l.format)
	}
	return level, nil
}

// toFiles opens the log in a directory, if one is asked for. It is Config.OpenLog.
func (l *serverLog) toFiles(plan *manager.Plan) (hclog.Logger, error) {
	dir := l.dir
	if dir == "" {
		dir = plan.LogDir
	}
	if dir == "" {
		return nil, nil
	}
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return nil, fmt.Errorf("make the directory for the log (change --log-dir or log_dir): %w", err)
	}
	path := filepath.Join(dir, fmt.Sprintf("antano-%d.log", plan.ServerID))
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o640)
	if err != nil {
		return nil, fmt.Errorf("open the log (change --log-dir or log_dir): %w", err)
	}
	if err := f.Close(); err != nil {
		return nil, err
	}
	files := &timberjack.Logger{Filename: path, MaxSize: logFileSize, MaxBackups: logFiles, FileMode: 0o640}
	l.files = files
	w := newLogWriter(files, l.stderr)
	l.open = append(l.open, w)
	level, _ := l.check()
	return hclog.New(&hclog.LoggerOptions{Name: "antano", Level: level, Output: w, JSONFormat: l.format == "json"}), nil
}

// close waits until all is written, for a moment.
func (l *serverLog) close() {
	for _, w := range l.open {
		w.Close()
	}
	if l.files != nil {
		_ = l.files.Close()
	}
}

// journaled puts the priority that journald understands before each line. It is an
// hclog.LevelWriter.
type journaled struct{ io.Writer }

var priorities = map[hclog.Level]journal.Priority{
	hclog.Error: journal.PriErr, hclog.Warn: journal.PriWarning, hclog.Info: journal.PriInfo,
	hclog.Debug: journal.PriDebug, hclog.Trace: journal.PriDebug,
}

func (j journaled) LevelWrite(level hclog.Level, p []byte) (int, error) {
	priority, ok := priorities[level]
	if !ok {
		priority = journal.PriNotice
	}
	prefix := fmt.Appendf(nil, "<%d>", priority)
	var out []byte
	for line := range bytes.Lines(p) {
		out = append(append(out, prefix...), line...)
	}
	if _, err := j.Write(out); err != nil {
		return 0, err
	}
	return len(p), nil
}
