package manager

import (
	"os"
	"slices"
)

// settleRivals decides which generation of a process serves where the manager went while
// the one was to hand its clients to the other.
func (s *Server) settleRivals(in *inheritance) {
	for _, next := range in.vying {
		at := slices.IndexFunc(in.heirs, func(h *heir) bool { return h.was.ID == next.was.ID })
		r := rivals{newRejoined: next.hasRejoined()}
		var old *heir
		if at >= 0 {
			old = in.heirs[at]
			r.oldRejoined = old.hasRejoined()
			r.oldHolds = r.oldRejoined && old.link.Holds()
		}
		log := s.cfg.Logger.With("service", in.state.Name, "process", next.was.ID, "old", next.was.Generation-1, "new", next.was.Generation)
		switch {
		case !r.newServes():
			log.Info("a process of the last manager has not taken its clients over: it ends")
			s.dismissed.Go(next.discard) // its link ends when the router reads
		case !r.oldRejoined:
			log.Info("a process of the last manager has taken its place")
			if old != nil {
				s.dismissed.Go(old.discard)
				in.heirs = slices.Delete(in.heirs, at, at+1)
			}
			in.heirs = append(in.heirs, next)
		default:
			log.Info("a process of the last manager has taken over, and the old one drains")
			s.router.HandedOver(old.link, next.link)
			in.heirs[at] = next
			in.left = append(in.left, old)
		}
	}
	in.vying = nil
}

// hasRejoined reports whether the process is one of the relay's.
func (h *heir) hasRejoined() bool {
	select {
	case <-h.link.Down():
		return false
	default:
	}
	select {
	case <-h.link.Rejoined():
		return true
	default:
		return false
	}
}

// discard kills a process that no service takes.
func (h *heir) discard() {
	_ = h.proc.Close() // which ends it; the successor does without it
	h.link.Close()
	_ = os.RemoveAll(h.was.Dir) // what is left is cleared at the end
}
