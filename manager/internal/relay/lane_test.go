package relay

import (
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/antano/antano/shared"
	"github.com/antano/antano/shared/wire"
)

// window is the source's side of its lanes.
type window struct {
	size int64
	left map[wire.Lane]int64
}

func (w *window) take(l wire.Lane, n int) bool {
	if _, ok := w.left[l]; !ok {
		w.left[l] = w.size
	}
	if w.left[l] <= 0 {
		return false
	}
	w.left[l] -= int64(n)
	return true
}

// TestCreditNeverLeaks sends to everything there is and is not, over links that
// stall and die, and expects every lane's window to return to its full size: not a
// byte more or less.
func TestCreditNeverLeaks(t *testing.T) {
	for seed := range uint64(12) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { creditReturns(t, seed) })
		})
	}
}

func creditReturns(t *testing.T, seed uint64) {
	rng := rand.New(rand.NewPCG(seed, 0))
	const size = 4096
	b := newLab(t, Config{Window: size})
	defer b.close()
	b.SetServices(map[int64][]uint16{10: {1, 2, 3}, 20: {4}})
	src := b.start(1, 10, 1<<20)
	var dst []*subject
	for p := range uint16(3) {
		d := b.start(p+2, 10+10*int64(p/2), 300) // a pipe of 300 bytes stalls at once
		dst = append(dst, d)
		reads := rng.IntN(400)
		b.all.Go(func() {
			for range reads {
				if _, err := d.in.Next(); err != nil {
					return
				}
			}
			d.end.Close()
		})
	}
	w := window{size: size, left: make(map[wire.Lane]int64)}
	credit := make(chan wire.Credit, 1<<16)
	var overloaded atomic.Uint64
	b.all.Go(func() {
		defer close(credit)
		for {
			f, err := src.in.Next()
			if err != nil {
				return
			}
			var c wire.Credit
			if f.Type == wire.TypeCredit && c.Parse(f.Body) == nil {
				credit <- c
			}
			var r wire.Result
			if f.Type == wire.TypeResult && r.Parse(f.Body) == nil && len(r.Failures()) > 0 && r.Failures()[0].Code == shared.CodeOverloaded {
				overloaded.Add(1)
			}
		}
	})
	collect := func() {
		for len(credit) > 0 {
			c := <-credit
			w.left[c.Lane] += int64(c.Bytes)
		}
	}
	for i := range 600 {
		m := src.to(wire.KindClient, dst[rng.IntN(3)].client(0), uint64(rng.IntN(2)))
		switch rng.IntN(6) {
		case 0:
			m.EntityID = int64(rng.Uint64())
		case 1:
			m.Kind, m.EntityID = wire.KindService, []int64{10, 20, 30, -1}[rng.IntN(4)]
		case 2:
			m.FromID = 5
		}
		m.Value = make([]byte, rng.IntN(3000))
		lane, _ := wire.LaneOf(m.Kind, m.EntityID)
		if w.take(lane, m.FrameSize()) {
			src.write(wire.AppendMessage(nil, &m))
		}
		if i%20 == 0 {
			time.Sleep(30 * time.Millisecond)
			synctest.Wait()
			collect()
		}
	}
	for _, d := range dst {
		d.end.Close()
	}
	time.Sleep(5 * sweepEvery)
	synctest.Wait()
	collect()
	for lane, left := range w.left {
		if left != size {
			t.Errorf("lane %v has %d of %d bytes", lane, left, size)
		}
	}
	if n := src.link.Stats().DropsFrom[shared.CodeOverloaded] + overloaded.Load(); n != 0 {
		t.Errorf("%d messages within the window were overloaded", n)
	}
	if src.link.Err() != nil {
		t.Error(src.link.Err())
	}
}

// TestOverdraft: a source that does not mind its window has what is over dropped.
func TestOverdraft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newLab(t, Config{Window: 4096})
		defer b.close()
		src, dst := b.start(1, 10, 1<<20), b.start(2, 10, 10)
		for range 100 {
			m := src.to(wire.KindClient, dst.client(0), 0)
			m.Value = make([]byte, 1000)
			src.write(wire.AppendMessage(nil, &m))
		}
		synctest.Wait()
		if q := dst.link.Stats().QueuedBytes; q > 2*4096+1100 {
			t.Errorf("%d bytes queued", q)
		}
		if n := src.link.Stats().DropsFrom[shared.CodeOverloaded]; n < 88 || n > 94 {
			t.Errorf("%d of 100 dropped", n)
		}
		dst.end.Close()
		synctest.Wait()
		lost, dropped := dst.link.Stats().DropsTo[shared.CodeProcessLost], src.link.Stats().DropsFrom[shared.CodeOverloaded]
		if lost+dropped < 99 || lost+dropped > 100 {
			t.Errorf("%d lost and %d dropped of 100", lost, dropped)
		}
	})
}

// TestLanesAreBounded: made-up destinations leave nothing behind.
func TestLanesAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newLab(t, Config{})
		defer b.close()
		src := b.start(1, 10, 1<<20)
		for i := range int64(1000) {
			m := src.to(wire.KindService, 1000+i, 0)
			src.write(wire.AppendMessage(nil, &m))
		}
		b.all.Go(func() {
			for {
				if _, err := src.in.Next(); err != nil {
					return
				}
			}
		})
		src.end.Close()
		<-src.link.Down()
		if n := len(src.link.lanes.byID); n != 0 {
			t.Errorf("%d lanes", n)
		}
	})
}
