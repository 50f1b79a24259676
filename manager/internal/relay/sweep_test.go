package relay

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/antano/antano/shared"
	"github.com/antano/antano/shared/wire"
)

// read returns the next frame of type typ.
func (s *subject) read(typ wire.Type) wire.Frame {
	s.Helper()
	for {
		f, err := s.in.Next()
		if err != nil {
			s.Fatalf("process %d waits for frame type %d: %v", s.process, typ, err)
		}
		if f.Type == typ {
			return f
		}
	}
}

// TestTimeout: a destination that says nothing is answered for between 4.5 s and
// the source's own limit, and its late result does nothing.
func TestTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newLab(t, Config{})
		defer b.close()
		b.SetServices(map[int64][]uint16{10: {1, 2}})
		src, dst := b.start(1, 10, 1<<20), b.start(2, 10, 1<<20)
		for round := range uint64(5) {
			m := src.to(wire.KindClient, dst.client(0), round+1)
			src.write(wire.AppendMessage(nil, &m))
			var at wire.Message
			if err := at.Parse(dst.read(wire.TypeMessage).Body); err != nil {
				t.Fatal(err)
			}
			start := time.Now()
			var res wire.Result
			if err := res.Parse(src.read(wire.TypeResult).Body); err != nil {
				t.Fatal(err)
			}
			if took := time.Since(start); took < 4500*time.Millisecond || took > 4700*time.Millisecond {
				t.Errorf("answered after %v", took)
			}
			if fs := res.Failures(); res.Token != round+1 || res.Delivered != 0 || len(fs) != 1 || fs[0].Code != shared.CodeTimeout {
				t.Errorf("got %+v", res)
			}
			late := wire.Result{Token: at.Token, Delivered: 1}
			dst.write(wire.AppendResult(nil, &late))
			time.Sleep(37 * time.Millisecond)
			synctest.Wait()
			if n := dst.link.Stats().Strays; n != round+1 {
				t.Errorf("%d strays", n)
			}
		}
	})
}

// TestIdleRouterSleeps: with nothing open nothing is swept, and what is opened then, with
// a result owed or without, is seen to as at any other time.
func TestIdleRouterSleeps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newLab(t, Config{})
		defer b.close()
		b.SetServices(map[int64][]uint16{10: {1, 2}})
		src, dst := b.start(1, 10, 1<<20), b.start(2, 10, 1<<20)
		for range 3 {
			time.Sleep(time.Minute)
			synctest.Wait()
			seen := b.tick.Load()
			time.Sleep(time.Hour)
			synctest.Wait()
			if !b.asleep.Load() || b.tick.Load() != seen {
				t.Fatal("an idle router sweeps")
			}
			refused := src.to(wire.KindClient, dst.client(1<<19), 0)
			src.write(wire.AppendMessage(nil, &refused))
			src.read(wire.TypeCredit) // of what went nowhere
			time.Sleep(time.Hour)
			silent := src.to(wire.KindClient, dst.client(0), 0)
			src.write(wire.AppendMessage(nil, &silent))
			dst.read(wire.TypeMessage)
			src.read(wire.TypeAck)
			src.read(wire.TypeCredit)
			m := src.to(wire.KindClient, dst.client(0), 7)
			src.write(wire.AppendMessage(nil, &m))
			dst.read(wire.TypeMessage)
			start := time.Now()
			src.read(wire.TypeResult)
			if took := time.Since(start); took < 4500*time.Millisecond || took > 4700*time.Millisecond {
				t.Errorf("answered after %v", took)
			}
		}
	})
}

// TestGroupTimeout: all parts of a group message that nobody answered expire
// together, and the sum is one result.
func TestGroupTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newLab(t, Config{})
		defer b.close()
		var all []*subject
		for p := range uint16(5) {
			s := b.start(p+1, 10, 1<<20)
			s.write(wire.AppendGroup(nil, wire.TypeSubscribe, &wire.Group{ID: 7, Entity: []byte("room")}))
			all = append(all, s)
		}
		synctest.Wait()
		src := all[0]
		m := src.to(wire.KindGroup, 7, 3)
		src.write(wire.AppendMessage(nil, &m))
		var at wire.Message
		if err := at.Parse(all[1].read(wire.TypeMessage).Body); err != nil {
			t.Fatal(err)
		}
		ok := wire.Result{Token: at.Token, Delivered: 9}
		all[1].write(wire.AppendResult(nil, &ok))
		var res wire.Result
		if err := res.Parse(src.read(wire.TypeResult).Body); err != nil {
			t.Fatal(err)
		}
		if fs := res.Failures(); res.Delivered != 9 || len(fs) != 1 || fs[0] != (wire.Failure{Code: shared.CodeTimeout, Count: 4}) {
			t.Errorf("delivered %d, %v", res.Delivered, fs)
		}
	})
}

// TestRestOfCredit: what is owed below a quarter window comes with the sweep.
func TestRestOfCredit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newLab(t, Config{})
		defer b.close()
		src, dst := b.start(1, 10, 1<<20), b.start(2, 10, 1<<20)
		m := src.to(wire.KindClient, dst.client(0), 0)
		start := time.Now()
		src.write(wire.AppendMessage(nil, &m))
		var c wire.Credit
		if err := c.Parse(src.read(wire.TypeCredit).Body); err != nil {
			t.Fatal(err)
		}
		lane, _ := wire.LaneOf(m.Kind, m.EntityID)
		if c != (wire.Credit{Lane: lane, Bytes: uint32(m.FrameSize())}) || time.Since(start) > sweepEvery {
			t.Errorf("%+v after %v", c, time.Since(start))
		}
	})
}
