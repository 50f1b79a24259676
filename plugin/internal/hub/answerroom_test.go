package hub

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// A client that sends and never reads is held back, and ended when its answers
// have no room.
func TestNeverReads(t *testing.T) {
	bubble(t, small, func(x *fixture) {
		p := x.connect(x.json)
		p.change(func() { p.room = 0 })
		start, sent := time.Now(), 0
		for ; p.Receive([]byte(`{"type":"ping","id":"`+strings.Repeat("x", 200)+`"}`)) == nil; sent++ {
			p.Flush()
			if sent > 1000 {
				t.Fatal("it is never ended")
			}
			synctest.Wait()
		}
		if held := time.Since(start); held < time.Second {
			t.Errorf("it sent %d messages and was held back only %v", sent, held)
		}
	})
}

// No more answers are owed than there is room for, so that a client which stops reading
// for a while gets them all.
func TestOwedAnswersHaveRoom(t *testing.T) {
	for _, datagram := range []bool{false, true} {
		bubble(t, small, func(x *fixture) {
			p := x.connect(x.endpoint(EndpointConfig{Frame: line, Datagram: datagram}))
			x.relay.set(func(r *fakeRelay) { r.hold = true })
			const sent = 400
			start := time.Now()
			for i := range sent {
				p.send(fmt.Sprintf(`{"entity":"client","entity_id":SELF,"message":1,"id":%d}`, i))
			}
			held := time.Since(start)
			if want := map[bool]time.Duration{false: time.Second}[datagram]; held != want {
				t.Errorf("datagram %t: held back %v, want %v", datagram, held, want)
			}
			synctest.Wait()
			taken := len(read(x.relay, &x.relay.messages))
			if refused := codes(p.take()); taken < 200 || len(refused) != sent-taken || refused[0] != "overloaded" {
				t.Errorf("datagram %t: %d messages taken, %d refused", datagram, taken, len(refused))
			}
			p.change(func() { p.room = 0 })
			time.Sleep(answerAfter + time.Second) // synctest
			p.open()
			synctest.Wait()
			if got := p.take(); len(got) != taken || p.ended() {
				t.Errorf("datagram %t: %d answers for %d messages, ended %t", datagram, len(got), taken, p.ended())
			}
			x.relay.set(func(r *fakeRelay) { r.hold = false })
			p.send(`{"entity":"client","entity_id":SELF,"message":1,"id":1}`)
			synctest.Wait()
			if got := p.take(); len(got) != 2 {
				t.Errorf("datagram %t: afterwards %v", datagram, got)
			}
		})
	}
}
