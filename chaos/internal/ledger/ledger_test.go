package ledger

import (
	"testing"
	"time"
)

// scene is two clients, a message between them and a clock.
type scene struct {
	b    *Book
	a, c *Client // sender and receiver
	now  time.Time
}

func newScene(streamA, streamC bool) *scene {
	b := New()
	return &scene{b: b, a: b.Open("a", "left", 1, streamA), c: b.Open("c", "right", 2, streamC), now: time.Unix(1000, 0)}
}

func (s *scene) after(d time.Duration) time.Time { return s.now.Add(d) }

func (s *scene) send(id bool) *Message {
	return s.b.Sent(s.a, "client/c", false, []*Client{s.c}, id, s.now)
}

func (s *scene) crash(service string, process int) {
	f := s.b.Happened(Fault{Cause: Crash, Service: service, Process: process, From: s.after(time.Millisecond)})
	s.b.Over(f, s.after(time.Second))
}

func (s *scene) receipt(n int) {
	s.b.Answered(s.a, 0, n, Answer{Delivered: 1}, s.after(time.Millisecond))
}

func (s *scene) refused(n int, code string) {
	s.b.Answered(s.a, 0, n, Answer{Code: code}, s.after(time.Millisecond))
}

// TestColumns puts one copy into each column.
func TestColumns(t *testing.T) {
	for _, c := range []struct {
		name  string
		kinds [2]bool // streams?
		drops int
		do    func(s *scene)
		want  Totals
	}{
		{"arrived", [2]bool{}, 0, func(s *scene) { s.b.Arrived(s.c, 0, s.send(false).N) }, Totals{Sent: 1, Delivered: 1}},
		{"arrived and drops were counted", [2]bool{}, 3, func(s *scene) { s.b.Arrived(s.c, 0, s.send(false).N) }, Totals{Sent: 1, Delivered: 1}},
		{"an error", [2]bool{}, 0, func(s *scene) { s.refused(s.send(true).N, "overloaded") }, Totals{Sent: 1, Reported: 1}},
		{"nothing", [2]bool{true, true}, 0, func(s *scene) { s.send(false) }, Totals{Sent: 1, Lost: 1}},
		{"a counted drop", [2]bool{true, true}, 1, func(s *scene) { s.send(false) }, Totals{Sent: 1, Counted: 1}},
		{"not written", [2]bool{true, true}, 0, func(s *scene) { s.b.Unsent(s.send(true)) }, Totals{}},
		{"not written, and arrived", [2]bool{true, true}, 0, func(s *scene) {
			m := s.send(false)
			s.b.Unsent(m)
			s.b.Arrived(s.c, 0, m.N)
		}, Totals{Sent: 1, Delivered: 1}},
		{"a receipt and nobody saw it", [2]bool{true, true}, 0, func(s *scene) { s.receipt(s.send(true).N) }, Totals{Sent: 1, Lost: 1}},
		{"a receipt from a connection that ended", [2]bool{true, true}, 0, func(s *scene) {
			s.receipt(s.send(true).N)
			s.b.Ended(s.c, s.after(time.Hour))
		}, Totals{Sent: 1, Delivered: 1}},
		{"the receiver's connection", [2]bool{false, true}, 0, func(s *scene) { s.send(false); s.b.Ended(s.c, s.after(time.Second)) }, Totals{Sent: 1, WithConnection: 1}},
		{"the sender's connection", [2]bool{true, false}, 0, func(s *scene) { s.send(true); s.b.Ended(s.a, s.after(time.Second)) }, Totals{Sent: 1, WithConnection: 1}},
		{"a connection that ended much later", [2]bool{true, true}, 0, func(s *scene) { s.send(false); s.b.Ended(s.c, s.after(3*time.Second)) }, Totals{Sent: 1, Lost: 1}},
		{"a connection that ended, and a drop", [2]bool{true, true}, 1, func(s *scene) { s.send(false); s.b.Ended(s.c, s.now) }, Totals{Sent: 1, Counted: 1}},
		{"a drop goes to what has no excuse first", [2]bool{true, true}, 1, func(s *scene) {
			s.send(false)
			s.b.Ended(s.c, s.now)
			other := s.b.Open("d", "right", 2, true)
			s.b.Sent(s.a, "client/d", false, []*Client{other}, false, s.now)
		}, Totals{Sent: 2, Counted: 1, WithConnection: 1}},
		{"the process of a datagram sender", [2]bool{false, true}, 0, func(s *scene) { s.send(true); s.crash("left", 1) }, Totals{Sent: 1, WithProcess: 1}},
		{"another process", [2]bool{false, true}, 0, func(s *scene) { s.send(false); s.crash("left", 7) }, Totals{Sent: 1, Lost: 1}},
		{"the process of a stream sender that lives on", [2]bool{true, true}, 0, func(s *scene) { s.send(false); s.crash("left", 1) }, Totals{Sent: 1, Lost: 1}},
		{"the process of a datagram receiver", [2]bool{true, false}, 0, func(s *scene) { s.send(false); s.crash("right", 2) }, Totals{Sent: 1, WithProcess: 1}},
		{"the process it moved to", [2]bool{true, false}, 0, func(s *scene) { s.send(false); s.b.Moved(s.c, 9); s.crash("right", 9) }, Totals{Sent: 1, WithProcess: 1}},
		{"a fault before", [2]bool{false, true}, 0, func(s *scene) {
			s.crash("left", 1)
			s.now = s.after(time.Minute)
			s.send(false)
		}, Totals{Sent: 1, Lost: 1}},
		{"the connection of a process that hung", [2]bool{true, true}, 0, func(s *scene) {
			s.b.Happened(Fault{Cause: Crash, Service: "right", Process: 2, From: s.now})
			s.send(false)
			s.b.Ended(s.c, s.after(8*time.Second))
		}, Totals{Sent: 1, WithConnection: 1}},
		{"a datagram with an id that the kernel dropped", [2]bool{false, true}, 1, func(s *scene) { s.send(true) }, Totals{Sent: 1, Counted: 1}},
		{"a message with an id, and a datagram was dropped", [2]bool{true, true}, 1, func(s *scene) { s.send(true) }, Totals{Sent: 1, Counted: 1, Unanswered: 1, Broken: 1}},
		{"a handler's process", [2]bool{true, true}, 0, func(s *scene) {
			s.b.Sent(s.a, HandlerAddress("echo"), false, []*Client{s.a}, false, s.now)
			s.crash("echo", 5)
		}, Totals{Sent: 1, WithProcess: 1}},
		{"the manager", [2]bool{true, true}, 0, func(s *scene) {
			s.send(false)
			s.b.Happened(Fault{Cause: Manager, From: s.now})
		}, Totals{Sent: 1, WithManager: 1}},
		{"the manager, with an id", [2]bool{true, true}, 0, func(s *scene) {
			s.send(true)
			s.b.Happened(Fault{Cause: Manager, From: s.now})
		}, Totals{Sent: 1, Lost: 1, Unanswered: 1, Broken: 1}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newScene(c.kinds[0], c.kinds[1])
			c.do(s)
			got := s.b.Close(Drops{All: c.drops, Kernel: c.drops})
			got.Notes, got.SlowestReply = nil, 0
			if sum := got.Delivered + got.Reported + got.Counted + got.WithConnection + got.WithProcess + got.WithManager + got.Lost; sum != got.Sent {
				t.Errorf("the columns add up to %d of %d", sum, got.Sent)
			}
			if !same(got, c.want) {
				t.Errorf("got  %+v\nwant %+v", got, c.want)
			}
		})
	}
}

// TestGoneExplainsFaultsOnly has a drop because somebody was gone, and two losses of
// which a fault concerns one.
func TestGoneExplainsFaultsOnly(t *testing.T) {
	s := newScene(true, true)
	s.send(false)
	s.b.Ended(s.c, s.now)
	other := s.b.Open("d", "right", 2, true)
	s.b.Sent(s.a, "client/d", false, []*Client{other}, false, s.now)
	got := s.b.Close(Drops{All: 1, Gone: 1})
	if want := (Totals{Sent: 2, Counted: 1, Lost: 1}); !same(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func same(a, b Totals) bool {
	return a.Sent == b.Sent && a.Delivered == b.Delivered && a.Reported == b.Reported && a.Counted == b.Counted &&
		a.WithConnection == b.WithConnection && a.WithProcess == b.WithProcess && a.WithManager == b.WithManager && a.Lost == b.Lost &&
		a.Duplicated == b.Duplicated && a.Reordered == b.Reordered && a.Unanswered == b.Unanswered && a.Contradicted == b.Contradicted && a.Broken == b.Broken
}

// TestBrokenPromises breaks each promise once.
func TestBrokenPromises(t *testing.T) {
	for _, c := range []struct {
		name string
		do   func(s *scene)
		want Totals
	}{
		{"twice", func(s *scene) { n := s.send(false).N; s.b.Arrived(s.c, 0, n); s.b.Arrived(s.c, 0, n) }, Totals{Sent: 1, Delivered: 1, Duplicated: 1, Broken: 1}},
		{"out of order", func(s *scene) {
			one, two := s.send(false).N, s.send(false).N
			s.b.Arrived(s.c, 0, two)
			s.b.Arrived(s.c, 0, one)
		}, Totals{Sent: 2, Delivered: 2, Reordered: 1, Broken: 1}},
		{"two addresses have no order", func(s *scene) {
			one := s.send(false).N
			two := s.b.Sent(s.a, "room/1", true, []*Client{s.c}, false, s.now).N
			s.b.Arrived(s.c, 0, two)
			s.b.Arrived(s.c, 0, one)
		}, Totals{Sent: 2, Delivered: 2}},
		{"at somebody else", func(s *scene) { s.b.Arrived(s.b.Open("d", "right", 2, true), 0, s.send(false).N) }, Totals{Sent: 1, Lost: 1, Broken: 1}},
		{"at a source that has another id by now", func(s *scene) {
			d := s.b.Open("d", "right", 2, false)
			n := s.b.Sent(s.a, "client/d", false, []*Client{d}, false, s.now).N
			s.b.Arrived(s.b.Open("d", "right", 1, false), 0, n)
		}, Totals{Sent: 1, Delivered: 1}},
		{"never sent", func(s *scene) { s.b.Arrived(s.c, 0, 5) }, Totals{Broken: 1}},
		{"a group has more members than were known", func(s *scene) {
			n := s.b.Sent(s.a, "room/1", true, nil, false, s.now).N
			s.b.Arrived(s.c, 0, n)
		}, Totals{}},
		{"twice at such a member", func(s *scene) {
			n := s.b.Sent(s.a, "room/1", true, nil, false, s.now).N
			s.b.Arrived(s.c, 0, n)
			s.b.Arrived(s.c, 0, n)
		}, Totals{Duplicated: 1, Broken: 1}},
		{"two answers", func(s *scene) {
			n := s.send(true).N
			s.b.Arrived(s.c, 0, n)
			s.receipt(n)
			s.receipt(n)
		}, Totals{Sent: 1, Delivered: 1, Broken: 1}},
		{"no answer", func(s *scene) { s.b.Arrived(s.c, 0, s.send(true).N) }, Totals{Sent: 1, Delivered: 1, Unanswered: 1, Broken: 1}},
		{"an answer nobody asked for", func(s *scene) {
			n := s.send(false).N
			s.b.Arrived(s.c, 0, n)
			s.receipt(n)
		}, Totals{Sent: 1, Delivered: 1, Broken: 1}},
		{"somebody else's answer", func(s *scene) {
			n := s.send(true).N
			s.b.Arrived(s.c, 0, n)
			s.receipt(n)
			s.b.Answered(s.c, 0, n, Answer{Delivered: 1}, s.now)
		}, Totals{Sent: 1, Delivered: 1, Broken: 1}},
		{"an error, and it arrived", func(s *scene) {
			n := s.send(true).N
			s.b.Arrived(s.c, 0, n)
			s.refused(n, "overloaded")
		}, Totals{Sent: 1, Delivered: 1, Contradicted: 1, Broken: 1}},
		{"nobody knows, and it arrived", func(s *scene) { n := s.send(true).N; s.b.Arrived(s.c, 0, n); s.refused(n, "process_lost") }, Totals{Sent: 1, Delivered: 1}},
		{"a late answer", func(s *scene) {
			n := s.send(true).N
			s.b.Answered(s.a, 0, n, Answer{Code: "timeout"}, s.after(6*time.Second))
		}, Totals{Sent: 1, Reported: 1, Broken: 1}},
		{"a late answer to a datagram that a process did not live to read", func(s *scene) {
			d := s.b.Open("d", "left", 1, false)
			n := s.b.Sent(d, "client/c", false, []*Client{s.c}, true, s.now).N
			s.crash("left", 1)
			s.b.Answered(d, 2, n, Answer{Code: "timeout"}, s.after(6*time.Second))
		}, Totals{Sent: 1, Reported: 1}},
		{"a group, in part", func(s *scene) {
			d := s.b.Open("d", "right", 2, true)
			n := s.b.Sent(s.a, "room/1", true, []*Client{s.c, d}, true, s.now).N
			s.b.Arrived(d, 0, n)
			s.b.Answered(s.a, 0, n, Answer{Delivered: 1, Failed: map[string]int{"overloaded": 1}}, s.now)
		}, Totals{Sent: 2, Delivered: 1, Reported: 1}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newScene(true, true)
			c.do(s)
			got := s.b.Close(Drops{})
			if !same(got, c.want) {
				t.Errorf("got  %+v\nwant %+v", got, c.want)
			}
			if (got.Broken > 0) != (len(got.Notes) > 0) && got.Lost == 0 {
				t.Errorf("%d broken promises, described as %q", got.Broken, got.Notes)
			}
		})
	}
}
