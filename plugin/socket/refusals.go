package socket

import (
	"time"

	"github.com/antano/antano/shared"
)

const (
	maxRefusals = 100  // answers to one source in a second
	maxRefused  = 1024 // sources that are counted apart
)

// refuse answers a datagram whose source does not become a client, at most 100 times
// a second for a source, so that no flood is reflected.
func (sl *slot) refuse(d *datagram, payload []byte, e *shared.Error, now int64) {
	sl.service.host.CountDrop(e.Code, 1)
	key := keyOf(d.from)
	if key == (sourceKey{}) || !sl.refusals.allow(key, now) {
		return
	}
	if answer := sl.service.refusal(sl.service.idOf(payload), e); answer != nil {
		sendTo(sl.socket.FD, d.from, sl.answerFrom(d.anc), [][]byte{answer})
	}
}

// fail answers a message, if it has an id, that is not given to its source's client.
func (sl *slot) fail(d *datagram, payload []byte, e *shared.Error, now int64) {
	if len(sl.service.idOf(payload)) == 0 {
		sl.service.host.CountDrop(e.Code, 1)
		return
	}
	sl.refuse(d, payload, e, now)
}

// refusals counts the answers of this second to sources that are no clients. Those that
// do not fit the table share one count. Not safe for concurrent use.
type refusals struct {
	second int64
	used   map[sourceKey]int
}

func (r *refusals) allow(key sourceKey, now int64) bool {
	if second := now / int64(time.Second); second != r.second || r.used == nil {
		r.second, r.used = second, make(map[sourceKey]int)
	}
	if _, known := r.used[key]; !known && len(r.used) >= maxRefused {
		key = sourceKey{}
	}
	r.used[key]++
	return r.used[key] <= maxRefusals
}
