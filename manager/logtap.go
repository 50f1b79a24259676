package manager

import (
	"fmt"
	"io"
	"strings"
	"sync/atomic"

	"github.com/hashicorp/go-hclog"

	"github.com/antano/antano/manager/internal/event"
	"github.com/antano/antano/manager/internal/logs"
)

// logTap turns what one start of a process prints into records of the manager's log,
// tagged with who printed it, and keeps the evidence for its exit.
type logTap struct {
	book   *logbook
	ref    event.Ref
	logger hclog.Logger // of the book, tagged
	id     atomic.Int64
	tail   logs.Tail
}

func newLogTap(b *logbook, ref event.Ref) *logTap {
	return &logTap{book: b, ref: ref, logger: b.log.With("service", ref.Name, "process", ref.Process, "generation", ref.Generation)}
}

// pid tags what is printed from now on.
func (t *logTap) pid(pid int) { t.id.Store(int64(pid)) }

// read forwards one stream until it ends.
func (t *logTap) read(stream string, r io.Reader) {
	o := logs.Options{Emit: func(rec logs.Record) { t.emit(stream, rec) }}
	if stream == "stderr" {
		o.Tail = &t.tail
	}
	if err := logs.Read(r, o); err != nil {
		t.logger.Warn("read what a plugin prints", "stream", stream, "err", err)
	}
}

func (t *logTap) emit(stream string, rec logs.Record) {
	args := make([]any, 0, 2*len(rec.Fields)+4)
	ref := t.ref
	if ref.PID = int(t.id.Load()); ref.PID != 0 {
		args = append(args, "pid", ref.PID)
	}
	if stream == "stdout" {
		args = append(args, "stream", stream)
	}
	args = append(args, rec.Fields...)
	t.book.plugin(ref, stream, rec, t.logger, args)
}

// evidence is the last lines on stderr, and the text of a panic if there was one.
func (t *logTap) evidence() (lines []string, panicked string) { return t.tail.Lines(), t.tail.Panic() }

// explain adds to err what the process said last.
func (t *logTap) explain(err error) error {
	lines, panicked := t.evidence()
	if panicked != "" {
		return fmt.Errorf("%w; it panicked: %s", err, panicked)
	}
	if len(lines) > 0 {
		return fmt.Errorf("%w; it said: %s", err, strings.Join(lines, " | "))
	}
	return err
}
