package hub

import (
	"math/bits"
	"sync"
	"sync/atomic"
)

// payload is one framed message, shared by all clients that it is queued for. Whoever
// has none of its references does not look at data any more: it is used again.
type payload struct {
	data []byte
	refs atomic.Int32
}

// newPayload counts data into the process-wide bound until the last reference is
// released; the caller has the first.
func (h *Hub) newPayload(data []byte) *payload { return h.charge(&payload{data: data}) }

func (h *Hub) charge(p *payload) *payload {
	p.refs.Store(1)
	h.queued.Add(int64(len(p.data)))
	return p
}

func (h *Hub) release(p *payload) {
	if p.refs.Add(-1) == 0 {
		h.queued.Add(-int64(len(p.data)))
		recycle(p)
	}
}

// Payloads of up to 2 KiB are used again, by their room: so a queue of small messages holds
// no more than twice its bytes.
const (
	leastRoom   = 6 // as a power of two
	roomClasses = 6
)

var payloads [roomClasses]sync.Pool

// roomy returns a payload without data and with room for at least size bytes.
func roomy(size int) *payload {
	class := max(bits.Len(uint(max(size, 1)-1))-leastRoom, 0)
	if class >= roomClasses {
		return &payload{data: make([]byte, 0, size)}
	}
	if p, ok := payloads[class].Get().(*payload); ok {
		return p
	}
	return &payload{data: make([]byte, 0, 1<<(leastRoom+class))}
}

func recycle(p *payload) {
	room := cap(p.data)
	class := bits.Len(uint(room)) - 1 - leastRoom
	if class >= 0 && class < roomClasses && room == 1<<(leastRoom+class) {
		p.data = p.data[:0]
		payloads[class].Put(p)
	}
}
