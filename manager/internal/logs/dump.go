package logs

import (
	"regexp"
	"strings"
)

// dump follows a Go panic or a goroutine dump through the lines of a process, so
// that they keep together at error level.
type dump struct {
	state dumpState
	lines int // of the message
}

type dumpState uint8

const (
	noDump      dumpState = iota
	dumpMessage           // the panic's text, which may have several lines
	dumpTrace             // goroutines
)

// maxMessageLines bounds the text of a panic, behind which a trace must begin.
const maxMessageLines = 30

var (
	dumpStart = regexp.MustCompile(`^(panic: |fatal error: |SIG[A-Z]+: [a-z ]+$|unexpected fault address |runtime: goroutine stack exceeds |goroutine \d+ \S*.*\[|\tpanic: )`)
	traceHead = regexp.MustCompile(`^(goroutine \d+ \S*.*\[.*\]:$|runtime stack:$|\[signal |PC=0x)`)
	// A frame: function(args), its file, who created it; registers; what the shell adds.
	traceLine = regexp.MustCompile(`^(\S+\(.*\)$|\t\S|created by |\.\.\.\d*|r\w{1,2}\s+0x|e\w{2}\s+0x|[fg]s\s+0x|cs\s+0x|rflags\s|rip\s|lr\s+0x|sp\s+0x|pc\s+0x|fault\s+0x|exit status \d|\[recovered|-----$|\s*$)`)
)

// may reports, cheaply, whether line could belong to a dump.
func (d *dump) may(line string) bool {
	return d.state != noDump || line != "" && strings.IndexByte("pfSurg\t", line[0]) >= 0 && dumpStart.MatchString(line)
}

// take reports whether line belongs to a dump, and whether it begins one. structured
// lines of other goroutines may come in between.
func (d *dump) take(line string, structured bool) (belongs, begins bool) {
	switch {
	case structured:
		return false, false
	case d.state == noDump:
		if !dumpStart.MatchString(line) {
			return false, false
		}
		d.state, d.lines = dumpMessage, 1
		if traceHead.MatchString(line) {
			d.state = dumpTrace
		}
		return true, true
	case traceHead.MatchString(line):
		d.state = dumpTrace
		return true, false
	case d.state == dumpMessage:
		if d.lines++; d.lines <= maxMessageLines {
			return true, false
		}
	case traceLine.MatchString(line) || dumpStart.MatchString(line):
		return true, false
	}
	d.state = noDump
	return false, false
}

// isPanic reports whether a line that begins a dump says why the process dies.
func isPanic(line string) bool {
	return strings.HasPrefix(line, "panic: ") || strings.HasPrefix(line, "fatal error: ") || strings.HasPrefix(line, "SIG")
}
