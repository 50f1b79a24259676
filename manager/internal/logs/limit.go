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

func (l *limiter) allow(now time.Time, size int) bool {
	if !l.at.IsZero() {
		l.tokens = min(l.burst, l.tokens+l.rate*now.Sub(l.at).Seconds())
	}
	l.at = now
	cost := min(l.burst, float64(1+size/bytesPerToken))
	if l.tokens < cost {
		return false
	}
	l.tokens -= cost
	return true
}
