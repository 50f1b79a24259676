package hub

import (
	"bytes"
	"testing"
	"time"
)

// A queue gives the room of many items back when it is empty, with nothing in it, and goes
// on with what it had.
func TestRoomOfQueue(t *testing.T) {
	h := benchHub(t)
	p := h.newPayload([]byte("x"))
	for _, n := range []int{1, fewItems, fewItems + 40, 1 << 10, 3 << 10} {
		var o outbox
		for range 3 {
			for i := range n {
				o.append(item{p: p, from: source{id: int64(i)}})
			}
			room := o.items
			if cap(room) > max(fewItems+8, 2*n) {
				t.Errorf("room for %d of %d items", cap(room), n)
			}
			for i := range n {
				if it := o.pop(); it.from.id != int64(i) {
					t.Fatalf("item %d of %d is %d", i, n, it.from.id)
				}
			}
			if cap(o.items) >= 2*fewItems || o.few != nil || o.rented != nil || o.len() != 0 || o.bytes != 0 {
				t.Errorf("after %d items there is room for %d, and %d bytes", n, cap(o.items), o.bytes)
			}
			for i := range room {
				if room[i] != (item{}) {
					t.Fatalf("item %d of %d is still in the room that was given back", i, n)
				}
			}
		}
	}
}

// The time of what is received is looked up once until Flush.
func TestLastReceived(t *testing.T) {
	h := benchHub(t)
	c := benchClient(t, benchEndpoint(t, h))
	for range 2 {
		before := time.Now().UnixNano()
		c.Receive([]byte(`{"type":"ping"}`))
		first := c.LastReceived()
		if first < before || first > time.Now().UnixNano() {
			t.Error("received before it was, or later than now")
		}
		c.Receive(bytes.Repeat([]byte(" "), 10))
		if c.LastReceived() != first {
			t.Error("the clock was looked at for each message")
		}
		c.Flush()
	}
	first := c.LastReceived()
	for c.LastReceived() == first { // of a client that is never flushed
		done, err := c.Take(1)
		if err != nil {
			t.Fatal(err)
		}
		done()
	}
}
