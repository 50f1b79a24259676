package process

import (
	"testing"

	"github.com/antano/antano/manager/internal/event"
)

// TestIllegalMoves says which moves there are, so that a change is a decision.
func TestIllegalMoves(t *testing.T) {
	legal := 0
	for from := event.Stopped; from <= event.Failed; from++ {
		for to := event.Stopped; to <= event.Failed; to++ {
			func() {
				defer func() {
					if recover() == nil {
						legal++
					}
				}()
				checkMove(from, to)
			}()
		}
	}
	if legal != 22 {
		t.Errorf("%d moves are legal", legal)
	}
}
