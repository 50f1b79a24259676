package hub

import (
	"context"
	"sync/atomic"
)

// verdict is what becomes of a move: cut or aborted. The first who claims it decides,
// so that a cut that comes late does nothing.
type verdict struct {
	claimed atomic.Bool
	cut     chan bool // has room for the one decision
}

func newVerdict() *verdict { return &verdict{cut: make(chan bool, 1)} }

// claim reports whether the caller is to decide. Until it does, nobody goes on.
func (v *verdict) claim() bool { return !v.claimed.Swap(true) }

// abort decides against the cut, if nobody has decided.
func (v *verdict) abort() {
	if v.claim() {
		v.cut <- false
	}
}

// await waits for the decision. The end of ctx is one, too.
func (v *verdict) await(ctx context.Context) (cut bool) {
	select {
	case cut = <-v.cut:
	case <-ctx.Done():
		v.abort()
		cut = <-v.cut
	}
	return cut
}
