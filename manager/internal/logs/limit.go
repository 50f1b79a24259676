package logs

import "time"

// limiter is a token bucket over lines, in which a long line counts for several.
type limiter struct {
	burst, rate float64
	tokens      float64
	at          time.Time
}

// bytesPerToken is how much of a line a token pays for.
const bytesPerToken = 1024

// spent reports whether no line at all would be allowed.
func (l *limiter) spent(now time.Time) bool {
	if !l.at.IsZero() {
		l.tokens = min(l.burst, l.tokens+l.rate*now.Sub(l.at).Seconds())
	}
	l.at = now
	return l.tokens < 1
}

func (l *limiter) allow(now time.Time, size int) bool {
	if l.spent(now) {
		return false
	}
	cost := min(l.burst, float64(1+size/bytesPerToken))
	if l.tokens < cost {
		return false
	}
	l.tokens -= cost
	return true
}

// gate bounds what a flood costs us: who makes us drop gateLines within gateTime is
// not read for the rest of it, and blocks once its FIFO is full. It is short beside
// the time that is left after an exit to read what the process said last.
type gate struct {
	since time.Time
	lines int
}

const (
	gateTime  = 100 * time.Millisecond
	gateLines = 2000
)

func (g *gate) drop(now time.Time) {
	if now.Sub(g.since) >= gateTime {
		g.since, g.lines = now, 0
	}
	g.lines++
}

// wait returns how long not to read; 0 is not at all.
func (g *gate) wait(now time.Time) time.Duration {
	if g.lines < gateLines {
		return 0
	}
	return max(0, gateTime-now.Sub(g.since))
}
