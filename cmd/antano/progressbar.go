package main

import (
	"fmt"
	"io"
	"os"
	"strings"
)

// progressBar shows how far a long command is, on one line of a terminal, or on a line
// for each step elsewhere.
type progressBar struct {
	w        io.Writer
	terminal bool
	drawn    bool
}

func newProgressBar(w io.Writer) *progressBar {
	b := &progressBar{w: w}
	if f, ok := w.(*os.File); ok {
		s, err := f.Stat()
		b.terminal = err == nil && s.Mode()&os.ModeCharDevice != 0
	}
	return b
}

const progressWidth = 30

// show says that done of all steps are over and what comes now.
func (b *progressBar) show(done, all int, what string) {
	if !b.terminal {
		fmt.Fprintf(b.w, "%d/%d %s\n", done, all, what)
		return
	}
	full := progressWidth * done / max(1, all)
	fmt.Fprintf(b.w, "\r\x1b[K[%s%s] %d/%d %s", strings.Repeat("=", full), strings.Repeat(" ", progressWidth-full), done, all, what)
	b.drawn = true
}

// end leaves the line.
func (b *progressBar) end() {
	if b.drawn {
		fmt.Fprintln(b.w)
	}
}
