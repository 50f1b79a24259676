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
	for _, request := range []string{
		`{"entity":"client","entity_id":SELF,"message":1,"id":%d}`,
		`{"type":"join","entity":"room","entity_id":%[1]d,"id":%[1]d}`,
	} {
		for _, datagram := range []bool{false, true} {
			t.Run(fmt.Sprintf("%.15s, datagram %t", request[2:], datagram), func(t *testing.T) { owedAnswers(t, request, datagram) })
		}
	}
}

func owedAnswers(t *testing.T, request string, datagram bool) {
	bubble(t, small, func(x *fixture) {
		p := x.connect(x.endpoint(EndpointConfig{Frame: line, Datagram: datagram}))
		x.relay.set(func(r *fakeRelay) { r.hold = true })
		const sent = 400
		start := time.Now()
		for i := range sent {
			p.send(fmt.Sprintf(request, i))
		}
		held := time.Since(start)
		if want := map[bool]time.Duration{false: time.Second}[datagram]; held != want {
			t.Errorf("held back %v, want %v", held, want)
		}
		synctest.Wait()
		taken := len(read(x.relay, &x.relay.messages)) + len(read(x.relay, &x.relay.groups))
		if refused := codes(p.take()); taken < 200 || taken == sent || len(refused) != sent-taken || refused[0] != "overloaded" {
			t.Fatalf("%d messages taken, %d refused", taken, len(refused))
		}
		p.change(func() { p.room = 0 })
		time.Sleep(answerAfter + time.Second) // synctest
		p.open()
		synctest.Wait()
		if got := p.take(); len(got) != taken || p.ended() {
			t.Errorf("%d answers for %d messages, ended %t", len(got), taken, p.ended())
		}
		x.relay.set(func(r *fakeRelay) { r.hold = false })
		p.send(`{"entity":"client","entity_id":SELF,"message":1,"id":1}`)
		synctest.Wait()
		if got := p.take(); len(got) != 2 {
			t.Errorf("afterwards %v", got)
		}
	})
}
