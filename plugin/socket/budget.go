package socket

import "sync/atomic"

// budget bounds in bytes what all connections together hold of incomplete
// messages. Safe for concurrent use.
type budget struct {
	bound int64
	used  atomic.Int64
}

// take reserves n bytes, or nothing.
func (b *budget) take(n int) bool {
	if b.used.Add(int64(n)) > b.bound {
		b.used.Add(-int64(n))
		return false
	}
	return true
}

func (b *budget) give(n int) { b.used.Add(-int64(n)) }

// force reserves n bytes, whatever the bound.
func (b *budget) force(n int) { b.used.Add(int64(n)) }
