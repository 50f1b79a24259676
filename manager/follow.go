package manager

import (
	"context"

	"github.com/antano/antano/manager/internal/control"
	"github.com/antano/antano/manager/internal/history"
)

// follower is a stream of the control socket over one of the server's histories.
type follower[T any] struct {
	reader *history.Reader[T]
	until  uint64 // of the last record, when it is not followed
	follow bool
	wanted func(T) bool
	gap    func(missed uint64) T
}

// followBatch is how many records are taken at once.
const followBatch = 256

// Next implements control.Stream.
func (f *follower[T]) Next(ctx context.Context) ([]any, error) {
	for {
		records, missed, err := f.batch(ctx)
		if err != nil || len(records) == 0 && missed == 0 {
			return nil, err
		}
		var out []any
		if missed > 0 {
			out = append(out, f.gap(missed))
		}
		for _, r := range records {
			if f.wanted(r) {
				out = append(out, r)
			}
		}
		if len(out) > 0 {
			return out, nil
		}
	}
}

func (f *follower[T]) batch(ctx context.Context) (records []T, missed uint64, err error) {
	if f.follow {
		return f.reader.Next(ctx, followBatch)
	}
	if f.reader.At() >= f.until {
		return nil, 0, nil
	}
	records, missed = f.reader.Read(int(min(f.until-f.reader.At(), followBatch)))
	return records, missed, nil
}

// follow opens a stream. of says which service (by name) and which process a record is
// about, "" and nil when it is about none.
func follow[T any](b backend, ring *history.Ring[T], q control.Query, of func(T) (service string, process *int), gap func(uint64) T) (control.Stream, error) {
	f := &follower[T]{until: ring.Next(), follow: q.Follow, gap: gap, wanted: func(T) bool { return true }}
	if q.New {
		q.Since = f.until
	}
	f.reader = ring.Since(q.Since)
	if q.Service == "" {
		return f, nil
	}
	svc, err := b.find(q.Service)
	if err != nil {
		return nil, err
	}
	name, only := svc.plan().Params.Name, -1
	if q.Process != "" {
		w, err := b.findProcess(svc, q.Process)
		if err != nil {
			return nil, err
		}
		only = w.id
	}
	f.wanted = func(r T) bool {
		service, process := of(r)
		return service == name && (only < 0 || process != nil && *process == only)
	}
	return f, nil
}
