package history

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
)

func add(r *Ring[uint64], n int) {
	for range n {
		r.Add(0, func(sequence uint64) uint64 { return sequence })
	}
}

// TestKeepsTheNewest holds a ring to its bound, and a late reader to what is left.
func TestKeepsTheNewest(t *testing.T) {
	r := New[uint64](4 * overhead)
	add(r, 10)
	if got, missed := r.Since(0).Read(100); !slices.Equal(got, []uint64{7, 8, 9, 10}) || missed != 0 {
		t.Errorf("all is %v, %d missed", got, missed)
	}
	if got, missed := r.Since(3).Read(2); !slices.Equal(got, []uint64{7, 8}) || missed != 4 {
		t.Errorf("from 3 on is %v, %d missed; want 4", got, missed)
	}
	if got, missed := r.Since(99).Read(2); got != nil || missed != 0 {
		t.Errorf("from the future is %v, %d missed", got, missed)
	}
	r.Add(100*overhead, func(sequence uint64) uint64 { return sequence })
	if got, _ := r.Since(0).Read(9); !slices.Equal(got, []uint64{11}) {
		t.Errorf("with a large record it has %v, not that alone", got)
	}
}

// TestSlowReader counts exactly what a reader missed, each time.
func TestSlowReader(t *testing.T) {
	r := New[uint64](8 * overhead)
	rd := r.Since(r.Next())
	var got, missed uint64
	for i := range 200 {
		add(r, i%20)
		records, m := rd.Read(3)
		if missed += m; m > 0 && len(records) > 0 && records[0] != got+missed+1 {
			t.Fatalf("record %d follows %d read and %d missed", records[0], got, missed)
		}
		got += uint64(len(records))
	}
	rest, m := rd.Read(1000)
	if got, missed = got+uint64(len(rest)), missed+m; got+missed != r.Next()-1 || missed == 0 {
		t.Errorf("%d read and %d missed of %d", got, missed, r.Next()-1)
	}
}

// TestNextWaits shows a reader that keeps up, and one whose context ends.
func TestNextWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := New[uint64](1 << 20)
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		for range 3 {
			rd := r.Since(r.Next())
			wg.Go(func() {
				for want := uint64(1); ; {
					records, missed, err := rd.Next(ctx, 2)
					if err != nil {
						if !errors.Is(err, context.Canceled) || want != 101 || rd.At() != 101 {
							t.Errorf("ended with %v before %d", err, want)
						}
						return
					}
					for _, n := range records {
						if n != want || missed != 0 {
							t.Errorf("read %d, missed %d; want %d", n, missed, want)
						}
						want++
					}
				}
			})
		}
		for range 10 {
			add(r, 10)
			synctest.Wait()
		}
		cancel()
		wg.Wait()
	})
}
