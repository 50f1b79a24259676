package logs

import (
	"slices"
	"strings"
	"sync"
)

// Bounds of the evidence that is kept of a process.
const (
	tailLines    = 20
	maxTailLine  = 512  // bytes
	maxPanicText = 2048 // bytes
)

// Tail keeps what a process said last, as evidence of why it ended. The zero Tail is
// ready; it is safe for concurrent use, and may serve both outputs of a process.
type Tail struct {
	mu    sync.Mutex
	lines []string
	panic string
	// While a dump is kept, lines are its first ones; after counts what came since.
	dumping bool
	after   int
}

// Lines returns the last lines, oldest first; of a process that panicked the first
// lines of the panic, which say more than the end of its goroutines.
func (t *Tail) Lines() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Clone(t.lines)
}

// Panic returns the text of the panic, fatal error or signal with which the process
// ended; empty when it did not. A panic that was recovered is forgotten when the
// process has gone on to print 20 other lines.
func (t *Tail) Panic() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.panic
}

func (t *Tail) add(line string, belongs, begins bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	defer func() {
		if belongs && t.panic == "" && isPanic(line) {
			t.panic = cut(clean(line), maxPanicText)
		}
	}()
	switch {
	case begins:
		t.lines, t.panic, t.dumping, t.after = nil, "", true, 0
	case belongs && t.dumping:
		if len(t.lines) >= tailLines {
			return
		}
	case t.dumping:
		if t.after++; t.after < tailLines {
			return
		}
		t.lines, t.panic, t.dumping = nil, "", false
	}
	if len(t.lines) >= tailLines {
		t.lines = t.lines[len(t.lines)-tailLines+1:]
	}
	t.lines = append(t.lines, cut(clean(line), maxTailLine))
}

// extend adds a further line to the panic's text.
func (t *Tail) extend(line string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if text := strings.TrimSpace(clean(line)); text != "" && t.panic != "" {
		t.panic = cut(t.panic+" "+text, maxPanicText)
	}
}

func cut(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	return strings.ToValidUTF8(s[:limit], "") + "…"
}
