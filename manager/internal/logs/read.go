package logs

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"time"

	"github.com/hashicorp/go-hclog"
)

// What Options that are zero stand for.
const (
	defaultBurst   = 1000
	defaultRate    = 200
	defaultMaxLine = 64 << 10
	defaultMaxDump = 8 << 20
)

// noticeEvery is how often it is said that lines were dropped.
const noticeEvery = time.Second

// Options of Read. Only Emit is needed.
type Options struct {
	// Emit takes each record, one at a time, from the goroutine that called Read. It
	// may block, and so holds the plugin back once its FIFO is full.
	Emit func(Record)
	// Tail keeps evidence; nil keeps none. It sees what is dropped too.
	Tail *Tail
	// Level is that of lines which name none; NoLevel is Info.
	Level hclog.Level
	// Burst lines come through at once, then Rate a second; 0 is 1000 and 200. A line
	// counts once for each KiB.
	Burst, Rate int
	// MaxLine is where a line is cut, in bytes; 0 is 64 KiB.
	MaxLine int
	// MaxDump is how much of panics and goroutine dumps comes through whatever the
	// rate, in bytes over the life of the process; 0 is 8 MiB.
	MaxDump int
}

// Read reads r to its end and emits a record for each line. It blocks until then. The
// end of r, and its being closed, is no error.
func Read(r io.Reader, o Options) error {
	if o.Level == hclog.NoLevel {
		o.Level = hclog.Info
	}
	o.Burst, o.Rate = orDefault(o.Burst, defaultBurst), orDefault(o.Rate, defaultRate)
	o.MaxLine, o.MaxDump = orDefault(o.MaxLine, defaultMaxLine), orDefault(o.MaxDump, defaultMaxDump)
	if o.Tail == nil {
		o.Tail = &Tail{}
	}
	rd := &reader{o: o, limit: limiter{burst: float64(o.Burst), rate: float64(o.Rate), tokens: float64(o.Burst)}}
	return rd.run(r)
}

func orDefault(n, d int) int {
	if n <= 0 {
		return d
	}
	return n
}

// reader is the state of one Read.
type reader struct {
	o       Options
	limit   limiter
	gate    gate
	dump    dump
	dumped  int // bytes of dumps that came through
	dropped int // lines since the last notice
}

func (rd *reader) run(r io.Reader) error {
	chunks, free := make(chan []byte, 1), make(chan []byte, 2)
	failed := make(chan error, 1)
	go func() { failed <- pump(r, chunks, free) }() // ends with chunks, which is read to its end
	lines := splitter{max: rd.o.MaxLine, line: rd.take}
	notice, resume := stoppedTimer(), stoppedTimer()
	defer notice.Stop()
	defer resume.Stop()
	for input := chunks; chunks != nil; {
		before := rd.dropped
		select {
		case chunk, ok := <-input:
			if !ok {
				chunks = nil
				break
			}
			lines.write(chunk)
			select {
			case free <- chunk[:chunkSize]:
			default:
			}
			if d := rd.gate.wait(time.Now()); d > 0 {
				input = nil
				resume.Reset(d)
			}
		case <-resume.C:
			input = chunks
		case <-notice.C:
			rd.notice()
		}
		if before == 0 && rd.dropped > 0 {
			notice.Reset(noticeEvery)
		}
	}
	lines.end()
	rd.notice()
	if err := <-failed; !errors.Is(err, io.EOF) && !errors.Is(err, fs.ErrClosed) {
		return fmt.Errorf("read what a plugin prints: %w", err)
	}
	return nil
}

func stoppedTimer() *time.Timer {
	t := time.NewTimer(time.Hour)
	t.Stop()
	return t
}

// take handles one line.
func (rd *reader) take(b []byte, skipped int) {
	now, line := time.Now(), string(b)
	if len(line) == 0 && skipped == 0 && rd.dump.state == noDump {
		return
	}
	if rd.limit.spent(now) && !rd.dump.may(line) {
		rd.o.Tail.add(line, false, false)
		rd.drop(now)
		return
	}
	record, structured := parse(line, now, rd.o.Level)
	message := rd.dump.state == dumpMessage
	belongs, begins := rd.dump.take(line, structured)
	rd.o.Tail.add(line, belongs, begins)
	if belongs && message && rd.dump.state == dumpMessage && !isPanic(line) {
		rd.o.Tail.extend(line)
	}
	if belongs {
		record.Level = hclog.Error
	}
	if skipped > 0 {
		record.add("cut_bytes", fmt.Sprint(skipped))
	}
	if !rd.passes(now, len(line), belongs) {
		rd.drop(now)
		return
	}
	rd.o.Emit(record)
}

func (rd *reader) drop(now time.Time) {
	rd.dropped++
	rd.gate.drop(now)
}

func (rd *reader) passes(now time.Time, size int, dump bool) bool {
	if dump && rd.dumped+size <= rd.o.MaxDump {
		rd.dumped += size + 1
		return true
	}
	return rd.limit.allow(now, size)
}

// notice says how many lines were dropped since it last did.
func (rd *reader) notice() {
	if rd.dropped == 0 {
		return
	}
	n := rd.dropped
	rd.dropped = 0
	rd.o.Emit(Record{
		Level:   hclog.Warn,
		Time:    time.Now(),
		Message: fmt.Sprintf("dropped %d lines: the plugin prints more than %d lines a second", n, rd.o.Rate),
		Fields:  []any{"dropped", fmt.Sprint(n)},
	})
}
