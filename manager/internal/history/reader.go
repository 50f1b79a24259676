package history

import "context"

// Reader follows a ring. One goroutine at a time uses it; it needs no closing.
type Reader[T any] struct {
	ring *Ring[T]
	at   uint64 // of the next record to read
}

// Read returns up to most records that are there, oldest first, and how many were
// forgotten before this reader came to them. It does not wait.
func (rd *Reader[T]) Read(most int) (records []T, missed uint64) {
	r := rd.ring
	r.mu.Lock()
	defer r.mu.Unlock()
	if oldest := r.oldest(); rd.at < oldest {
		missed, rd.at = oldest-rd.at, oldest
	}
	from := len(r.records) - int(r.next-rd.at)
	for _, rec := range r.records[from:min(len(r.records), from+most)] {
		records = append(records, rec.value)
	}
	rd.at += uint64(len(records))
	return records, missed
}

// Next is Read that waits for a record until ctx ends.
func (rd *Reader[T]) Next(ctx context.Context, most int) (records []T, missed uint64, err error) {
	for {
		added := rd.ring.wait(rd.at)
		if added == nil {
			records, missed = rd.Read(most)
			return records, missed, nil
		}
		select {
		case <-added:
		case <-ctx.Done():
			return nil, 0, ctx.Err()
		}
	}
}

// At is the sequence number of the record that comes next.
func (rd *Reader[T]) At() uint64 { return rd.at }
