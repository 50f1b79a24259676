package manager

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

const (
	// dropsEvery is how often it is looked whether messages were dropped.
	dropsEvery = 5 * time.Second
	// dropsAgain is how soon after an event of drops of a process the next one comes.
	dropsAgain = 10 * time.Second
)

// dropWatch is what was told of the drops of one process.
type dropWatch struct {
	told map[string]uint64
	at   time.Time
}

// due returns what was dropped since it was last told, if it is to be told now.
func (d *dropWatch) due(now time.Time, drops map[string]uint64) map[string]uint64 {
	if now.Sub(d.at) < dropsAgain {
		return nil
	}
	var more map[string]uint64
	for code, n := range drops {
		if n > d.told[code] {
			if more == nil {
				more = map[string]uint64{}
			}
			more[code] = n - d.told[code]
		}
	}
	if more != nil {
		d.told, d.at = drops, now
	}
	return more
}

// watchDrops tells of messages that were dropped, until ctx ends.
func (s *Server) watchDrops(ctx context.Context) {
	watched := map[*worker]*dropWatch{}
	ticker := time.NewTicker(dropsEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-ticker.C:
			watched = s.tellDrops(now, watched)
		}
	}
}

// tellDrops looks at every process once and returns what is known of those there are.
func (s *Server) tellDrops(now time.Time, watched map[*worker]*dropWatch) map[*worker]*dropWatch {
	next := make(map[*worker]*dropWatch, len(watched))
	for _, svc := range s.snapshot() {
		for _, w := range svc.processes() {
			d := watched[w]
			if d == nil {
				d = &dropWatch{}
			}
			next[w] = d
			if more := d.due(now, w.dropped()); more != nil {
				ref := w.process.Status().Ref
				w.emit(Event{Type: eventDrops, Generation: ref.Generation, PID: ref.PID, Drops: more, Message: dropsSentence(w.String(), more)})
			}
		}
	}
	return next
}

func dropsSentence(who string, drops map[string]uint64) string {
	var parts []string
	for _, code := range slices.Sorted(maps.Keys(drops)) {
		parts = append(parts, fmt.Sprintf("%d %s", drops[code], code))
	}
	return fmt.Sprintf("%s dropped messages: %s", who, strings.Join(parts, ", "))
}
