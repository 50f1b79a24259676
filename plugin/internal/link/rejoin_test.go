package link_test

import (
	"errors"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/antano/antano/plugin/internal/link"
	"github.com/antano/antano/plugin/internal/peer"
	"github.com/antano/antano/shared"
	"github.com/antano/antano/shared/wire"
)

// successor is a manager that notes what a process sends.
type successor struct {
	t        *testing.T
	listener *net.UnixListener
}

func succeed(t *testing.T, path string) *successor {
	t.Helper()
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return &successor{t, l}
}

// frames welcomes the next process and returns its first frames, those behind the
// rejoin in words.
func (s *successor) frames(n int) (list []string) {
	s.t.Helper()
	s.listener.SetDeadline(time.Now().Add(10 * time.Second))
	conn, err := s.listener.AcceptUnix()
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(10 * time.Second))
	r := wire.NewReader(conn)
	f, err := r.Next()
	if err != nil || f.Type != wire.TypeRejoin {
		s.t.Fatalf("first frame %s, %v", f.Type, err)
	}
	conn.Write(wire.AppendWelcome(nil, &wire.Welcome{
		Version: shared.ProtocolVersion, Server: 7, Window: peer.Window, Sequences: wire.Sequences{First: 1 << 20, Count: 4096},
	}))
	for range n {
		f, err := r.Next()
		if err != nil {
			s.t.Fatalf("after %v: %v", list, err)
		}
		word := f.Type.String()
		switch f.Type {
		case wire.TypeMessage:
			var m wire.Message
			err = m.Parse(f.Body)
			word = string(m.Value)
		case wire.TypeRange:
			var v wire.Range
			if err = v.Parse(f.Body); v != (wire.Range{Process: 1, Sequences: wire.Sequences{First: 1, Count: 4096}}) {
				s.t.Errorf("range %+v", v)
			}
		}
		if err != nil {
			s.t.Fatal(err)
		}
		list = append(list, word)
	}
	return list
}

// refuse closes whoever comes.
func (s *successor) refuse() {
	for {
		conn, err := s.listener.Accept()
		if err != nil {
			return
		}
		conn.Close()
	}
}

func put(t *testing.T, l *link.Link, value string) {
	t.Helper()
	err := l.Message(&wire.Message{Kind: wire.KindGroup, Entity: []byte("room"), FromKind: wire.KindClient, Value: []byte(value)})
	if err != nil {
		t.Fatal(err)
	}
	l.Flush()
}

// What a process queues without a manager goes to the successor, behind what makes it
// known there; ids go on from a fresh range.
func TestRejoin(t *testing.T) {
	gone := make(chan struct{})
	m, l, r := start(t, func(c *link.Config) { c.Window, c.Gone = 10*time.Second, gone })
	path := m.Path()
	m.Close()
	close(gone)
	r.until(t, func() bool { return len(r.losses) == 1 })
	put(t, l, `"one"`)
	put(t, l, `"two"`)
	s := succeed(t, path)
	if got, want := s.frames(5), []string{"range", "subscribe", "rejoined", `"one"`, `"two"`}; !slices.Equal(got, want) {
		t.Errorf("the successor got %q", got)
	}
	if first := r.loss(0); first.planned || len(first.waiting) != 0 {
		t.Errorf("loss %+v", first)
	}
	seen := 0
	for ; seen < 5000; seen++ {
		if id, ok := l.NextClient(); !ok || seen >= 4096 && id.Sequence() < 1<<20 {
			t.Fatalf("id %x after %d, %v", uint64(id), seen, ok)
		}
	}
}

// A manager that announces its replacement gets nothing more; what is held goes to
// the successor, and nothing is taken as lost.
func TestRejoinPlanned(t *testing.T) {
	m, l, r := start(t, func(c *link.Config) { c.Window, c.Gone = 10*time.Second, make(chan struct{}) })
	path := m.Path()
	if err := m.Hold(withTimeout(t), 1, wire.HoldMessages); err != nil {
		t.Fatal(err)
	}
	put(t, l, `"held"`)
	if got, err := m.Health(withTimeout(t), 1); err != nil || got != "" {
		t.Errorf("health under hold: %q, %v", got, err)
	}
	if err := m.Hold(withTimeout(t), 1, wire.HoldAll); err != nil {
		t.Fatal(err)
	}
	m.Close()
	s := succeed(t, path)
	if got, want := s.frames(4), []string{"range", "subscribe", "rejoined", `"held"`}; !slices.Equal(got, want) {
		t.Errorf("the successor got %q", got)
	}
	r.until(t, func() bool { return len(r.losses) == 1 })
	if first := r.loss(0); !first.planned || !slices.Equal(first.waiting, []wire.Type{wire.TypeMessage}) {
		t.Errorf("loss %+v", first)
	}
}

// A replacement that does not take place releases what was held.
func TestHoldIsReleased(t *testing.T) {
	m, l, r := start(t, nil)
	for _, mode := range []wire.Hold{wire.HoldMessages, wire.HoldAll} {
		if err := m.Hold(withTimeout(t), 1, mode); err != nil {
			t.Fatal(err)
		}
	}
	id, _ := l.NextClient()
	l.Message(&wire.Message{Token: 3, Kind: wire.KindClient, EntityID: int64(id), Process: wire.AnyProcess, FromKind: wire.KindClient,
		FromID: int64(id), Format: shared.FormatJSON, Value: []byte(`"late"`)})
	l.Flush()
	if err := m.Hold(withTimeout(t), 1, wire.HoldNothing); err != nil {
		t.Fatal(err)
	}
	r.until(t, func() bool { return len(r.messages) == 1 && r.messages[0] == `"late"` })
}

// Without a successor that takes the process the link is down, and what waited is
// lost.
func TestNoSuccessor(t *testing.T) {
	for name, succeeds := range map[string]bool{"nobody": false, "refused": true} {
		t.Run(name, func(t *testing.T) {
			m, l, r := start(t, func(c *link.Config) { c.Window = 10 * time.Second })
			path := m.Path()
			if !succeeds {
				l.Close()
				m, l, r = start(t, func(c *link.Config) { c.Window = 50 * time.Millisecond })
			}
			m.Close()
			if succeeds {
				go succeed(t, path).refuse()
			}
			<-l.Down()
			if !errors.Is(l.Err(), link.ErrAlone) {
				t.Errorf("down for %v", l.Err())
			}
			r.until(t, func() bool { return len(r.losses) == 2 })
			if err := l.Message(&wire.Message{}); !errors.Is(err, wire.ErrClosed) {
				t.Errorf("message on a dead link: %v", err)
			}
		})
	}
}

// A link that a living manager closes, or the last one, has no successor.
func TestLossIsFinal(t *testing.T) {
	for name, final := range map[string]bool{"the manager lives": false, "nothing to take over": true} {
		t.Run(name, func(t *testing.T) {
			m, l, r := start(t, func(c *link.Config) {
				c.Window = time.Hour
				if !final {
					c.Gone = make(chan struct{})
				}
			})
			if final {
				l.Final()
			}
			m.Close()
			<-l.Down()
			if errors.Is(l.Err(), link.ErrAlone) || !strings.Contains(l.Err().Error(), "closed the relay link") || len(r.losses) != 0 {
				t.Errorf("down for %v after %d losses", l.Err(), len(r.losses))
			}
		})
	}
}
