package load

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// Crowd is many connected clients. Close ends them.
type Crowd struct {
	clients []*client
	joined  int // the first ones, members of the group
	group   int64
}

// Gather connects n clients, spread over the targets, each of which has had an answer
// from the process that serves it.
func Gather(ctx context.Context, n int, targets ...Target) (*Crowd, error) {
	return gather(ctx, 0, n, targets...)
}

// gather is Gather with clients whose numbers begin with one.
func gather(ctx context.Context, number, n int, targets ...Target) (*Crowd, error) {
	c := &Crowd{clients: make([]*client, n)}
	err := parallel(ctx, n, func(i int) error {
		t := targets[i%len(targets)]
		conn, err := t.dial(ctx, number+i)
		if err != nil {
			return err
		}
		k := newClient(conn, t, crowdBuffer)
		c.clients[i] = k
		answer, err := k.ask(pingRequest, "")
		if err == nil && !bytes.HasPrefix(answer, []byte(pingAnswer)) {
			err = fmt.Errorf("the answer to a ping is %q", answer)
		}
		return err
	})
	if err != nil {
		c.Close()
		return nil, fmt.Errorf("gather %d clients: %w", n, err)
	}
	return c, nil
}

// Close ends all clients.
func (c *Crowd) Close() {
	for _, k := range c.clients {
		if k != nil {
			k.close()
		}
	}
}

// Join makes the first n clients the members of a new group.
func (c *Crowd) Join(ctx context.Context, group int64, n int) error {
	c.group, c.joined = firstGroup+group, n
	return parallel(ctx, n, func(i int) error { return c.clients[i].join(c.group) })
}

// FanOut sends messages to the group from one more client for a time, with up to window
// of them under way, and counts the copies that arrive; each member must get each.
func (c *Crowd) FanOut(ctx context.Context, from Target, size, window int, length time.Duration) (Result, error) {
	sender, err := connect(ctx, from)
	if err != nil {
		return Result{}, err
	}
	defer sender.close()
	conns := []net.Conn{sender.Conn}
	for _, k := range c.clients[:c.joined] {
		conns = append(conns, k.Conn)
	}
	defer interrupt(ctx, conns)()
	f := &fanOut{members: c.clients[:c.joined], sender: sender, out: newMessage(from, groupEntity, c.group, size, false),
		whole: make(chan struct{}, window), failed: make(chan error, 1)}
	r, err := f.run(ctx, window, length)
	if ctx.Err() != nil {
		return Result{}, context.Cause(ctx)
	}
	return r, err
}

// fanOut is one FanOut that runs.
type fanOut struct {
	members []*client
	sender  *client
	out     message
	form    message // of what arrives: all members get the same
	whole   chan struct{}
	failed  chan error
	got     []atomic.Int32 // how many members have the message of that number
}

// fanOutMost bounds the messages of one FanOut.
const fanOutMost = 1 << 20

func (f *fanOut) run(ctx context.Context, window int, length time.Duration) (Result, error) {
	if err := f.first(); err != nil {
		return Result{}, fmt.Errorf("the first message to the group: %w", err)
	}
	f.got = make([]atomic.Int32, fanOutMost+1)
	var readers sync.WaitGroup
	for _, k := range f.members {
		readers.Go(func() {
			if err := f.read(k); err != nil {
				select {
				case f.failed <- err:
				default:
				}
			}
		})
	}
	began := time.Now()
	sent, err := f.send(ctx, window, began.Add(length))
	took := time.Since(began)
	for _, k := range f.members {
		_ = k.SetReadDeadline(time.Unix(1, 0))
	}
	readers.Wait()
	for _, k := range f.members {
		_ = k.SetReadDeadline(time.Time{})
	}
	n := sent * len(f.members)
	return Result{Count: n, PerSecond: float64(n) / took.Seconds()}, err
}

// first sends the message with the number 0 and reads it as every member.
func (f *fanOut) first() error {
	if _, err := f.sender.Write(f.out.bytes); err != nil {
		return err
	}
	for _, k := range f.members {
		_ = k.SetReadDeadline(time.Now().Add(answerTime))
		frame, err := k.frame()
		if err != nil {
			return err
		}
		if f.form.bytes == nil {
			f.form.bytes = bytes.Clone(frame)
			f.form.find()
		}
		if !bytes.Equal(frame, f.form.bytes) || len(f.form.numbers) != 1 {
			return fmt.Errorf("%q arrived", frame)
		}
		_ = k.SetReadDeadline(time.Time{})
	}
	return nil
}

// read takes what one member gets until its deadline.
func (f *fanOut) read(k *client) error {
	expected := message{bytes: bytes.Clone(f.form.bytes), numbers: f.form.numbers}
	for n := 1; ; n++ {
		frame, err := k.fixed(len(expected.bytes))
		if errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, net.ErrClosed) {
			return nil
		}
		if err != nil {
			return err
		}
		expected.next()
		if !bytes.Equal(frame, expected.bytes) {
			return fmt.Errorf("%q arrived instead of %q", frame, expected.bytes)
		}
		if int(f.got[n].Add(1)) == len(f.members) {
			f.whole <- struct{}{}
		}
	}
}

// send keeps up to window messages under way until then, waits for all, and returns how
// many there were.
func (f *fanOut) send(ctx context.Context, window int, until time.Time) (sent int, err error) {
	stalled := time.NewTimer(answerTime)
	defer stalled.Stop()
	for done := 0; ; {
		for sent-done < window && time.Now().Before(until) && sent < fanOutMost {
			f.out.next()
			if _, err := f.sender.Write(f.out.bytes); err != nil {
				return sent, err
			}
			sent++
		}
		if done == sent {
			return sent, nil
		}
		select {
		case <-f.whole:
			done++
			stalled.Reset(answerTime)
		case err := <-f.failed:
			return sent, err
		case <-ctx.Done():
			return sent, context.Cause(ctx)
		case <-stalled.C:
			return sent, fmt.Errorf("message %d has not reached every member after %s", done+1, answerTime)
		}
	}
}
