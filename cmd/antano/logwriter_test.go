package main

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// terminal is an output that can be stopped.
type terminal struct {
	run chan struct{} // a value for each Write; closed: all
	got bytes.Buffer
}

func (t *terminal) Write(p []byte) (int, error) {
	<-t.run
	return t.got.Write(p)
}

// TestLogWriter writes everything in order while somebody reads.
func TestLogWriter(t *testing.T) {
	out := &terminal{run: make(chan struct{})}
	close(out.run)
	l := newLogWriter(out, nil)
	var want strings.Builder
	for i := range 1000 {
		line := fmt.Sprintf("line %d\n", i)
		want.WriteString(line)
		if n, err := l.Write([]byte(line)); n != len(line) || err != nil {
			t.Fatal(n, err)
		}
	}
	l.Close()
	if out.got.String() != want.String() {
		t.Errorf("%d bytes came, want %d", out.got.Len(), want.Len())
	}
}

// TestLogThatNobodyReads holds up its writer once, and says what was lost when it is
// read again.
func TestLogThatNobodyReads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out := &terminal{run: make(chan struct{})}
		l := newLogWriter(out, nil)
		record := bytes.Repeat([]byte("x"), maxPending/4)
		began := time.Now()
		_, _ = l.Write(record) // this one is being written
		synctest.Wait()
		for range 4 {
			_, _ = l.Write(record)
		}
		if took := time.Since(began); took != 0 {
			t.Errorf("held up for %s although there was room", took)
		}
		for range 10 {
			_, _ = l.Write(record)
		}
		if took := time.Since(began); took != logPatience {
			t.Errorf("held up for %s", took)
		}
		out.run <- struct{}{}
		synctest.Wait() // the next batch is being written
		_, _ = l.Write([]byte("the end\n"))
		close(out.run)
		l.Close()
		text := strings.TrimLeft(out.got.String(), "x")
		if want := "antano: 10 log records were dropped, because the log was not read or written fast enough\nthe end\n"; text != want || out.got.Len() != 5*len(record)+len(want) {
			t.Errorf("%d bytes came, at the end %q", out.got.Len(), text[:min(len(text), 200)])
		}
	})
}

// TestCloseOfALogThatNobodyReads ends.
func TestCloseOfALogThatNobodyReads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out := &terminal{run: make(chan struct{})}
		l := newLogWriter(out, nil)
		_, _ = l.Write([]byte("hello\n"))
		began := time.Now()
		l.Close()
		if took := time.Since(began); took != logPatience {
			t.Errorf("closed after %s", took)
		}
		close(out.run)
	})
}

// fullDisk takes room bytes, and cuts the write that does not fit.
type fullDisk struct {
	room int
	got  bytes.Buffer
}

func (f *fullDisk) Write(p []byte) (int, error) {
	n := min(len(p), f.room)
	f.room -= n
	f.got.Write(p[:n])
	if n < len(p) {
		return n, errors.New("no space left on device")
	}
	return n, nil
}

// TestLogOnAFullDisk counts what it costs, says so once elsewhere and, when there is
// room again, in the log, which goes on with whole lines.
func TestLogOnAFullDisk(t *testing.T) {
	disk, last := &fullDisk{room: 10}, &bytes.Buffer{}
	l := &logWriter{out: disk, last: last}
	for range 3 { // each is what take returns
		l.write([]byte("first\nsecond\nthird\n"))
	}
	if want := "antano: the log cannot be written, and records are dropped until it can: no space left on device\n"; last.String() != want {
		t.Errorf("it says %q", last)
	}
	disk.room = 1000
	l.write([]byte("fourth\n"))
	want := "first\nseco\nantano: 8 log records were dropped, because they could not be written: no space left on device\nfourth\n"
	if disk.got.String() != want {
		t.Errorf("the log is %q, want %q", &disk.got, want)
	}
	disk.room = 0
	l.write([]byte("fifth\n"))
	if n := strings.Count(last.String(), "\n"); n != 2 {
		t.Errorf("the second time it has said %d things", n)
	}
}
