package load

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"
)

// Flood has senders clients write messages of size bytes to one that does not read, as
// fast as they are let, until ctx ends. It calls begun once the first have been written.
func Flood(ctx context.Context, from, to Target, senders, size int, begun func()) error {
	silent, err := connect(ctx, to)
	if err != nil {
		return err
	}
	defer silent.close()
	var running sync.WaitGroup
	errs := make([]error, senders)
	var once sync.Once
	for i := range senders {
		running.Go(func() { errs[i] = flood(ctx, from, silent.id, size, func() { once.Do(begun) }) })
	}
	running.Wait()
	once.Do(begun)
	return first(errs)
}

func flood(ctx context.Context, from Target, id int64, size int, begun func()) error {
	k, err := connect(ctx, from)
	if err != nil {
		return err
	}
	defer k.close()
	stop := context.AfterFunc(ctx, func() { k.Close() })
	defer stop()
	var reader sync.WaitGroup
	defer reader.Wait()
	defer k.Close()
	reader.Go(func() { _, _ = io.Copy(io.Discard, k.Conn) })
	m := newMessage(from, "client", id, size, false)
	for n := 0; ctx.Err() == nil; n++ {
		_ = k.SetWriteDeadline(time.Now().Add(2 * answerTime))
		if _, err := k.Write(m.bytes); err != nil && ctx.Err() == nil {
			return errors.Join(fmt.Errorf("flood with message %d", n), err)
		}
		if n == 100 {
			begun()
		}
	}
	return nil
}
