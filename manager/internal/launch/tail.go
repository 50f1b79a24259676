package launch

import (
	"bytes"
	"strings"
	"sync"
)

// Bounds of what an error shows of stderr.
const (
	tailBytes = 4096
	tailLines = 8
)

// tail keeps the end of what is written to it.
type tail struct {
	mu  sync.Mutex
	buf []byte
	off bool
}

// Write never fails.
func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.off {
		return len(p), nil
	}
	t.buf = append(t.buf, p[max(0, len(p)-tailBytes):]...)
	if over := len(t.buf) - tailBytes; over > 0 {
		t.buf = append(t.buf[:0], t.buf[over:]...)
	}
	return len(p), nil
}

// stop forgets everything and keeps nothing more.
func (t *tail) stop() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.off, t.buf = true, nil
}

// lines returns the last lines, fit for a terminal.
func (t *tail) lines() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	var out []string
	for line := range bytes.Lines(t.buf) {
		if s := strings.TrimSpace(printable(string(line))); s != "" {
			out = append(out, s)
		}
	}
	return out[max(0, len(out)-tailLines):]
}
