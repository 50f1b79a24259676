package load

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"
)

// Stream is a load of messages from one client to another.
type Stream struct {
	Size     int // bytes of the message object that is sent
	Window   int // messages under way at most
	Receipts bool
	Length   time.Duration
}

// Run sends for Length as fast as Window allows, and waits for what is under way. What
// arrives must be what was sent, in order; datagrams may be lost, which is counted. With
// Receipts the window is opened by these, and else by arrivals.
func (s Stream) Run(ctx context.Context, from, to Target) (Result, error) {
	r, err := s.open(ctx, from, to)
	if err != nil {
		return Result{}, err
	}
	return r.run(ctx, s.Length, r.out.next)
}

// Latency sends one message at a time for Length, each when the one before has arrived,
// and with Receipts when that has been said. The times are until then.
func (s Stream) Latency(ctx context.Context, from, to Target) (Result, error) {
	s.Window = 1
	r, err := s.open(ctx, from, to)
	if err != nil {
		return Result{}, err
	}
	defer r.close()
	defer interrupt(ctx, []net.Conn{r.from.Conn, r.to.Conn})()
	result, err := r.oneByOne(s.Length)
	if ctx.Err() != nil {
		return Result{}, context.Cause(ctx)
	}
	return result, err
}

// stream is a pair of clients between which messages go.
type stream struct {
	from      *client
	to        *receiver
	others    []*receiver // of messages to random groups; whoever opened the stream closes them
	window    int
	out       message // as sent last
	receipt   message // as it came last; empty without
	sent      int
	arrived   counter
	answered  counter
	failed    chan error
	datagrams bool
}

// open connects both clients, in different processes where there are several, and sends
// the first message, whose arrival shows the form of the others.
func (s Stream) open(ctx context.Context, from, to Target) (*stream, error) {
	k, err := connect(ctx, to)
	if err != nil {
		return nil, err
	}
	entity, id := "client", k.id
	if to.PackedOut {
		entity, id = groupEntity, firstGroup
		err = k.join(id)
	}
	if err != nil {
		k.close()
		return nil, err
	}
	return s.openTo(ctx, from, k, entity, id)
}

// openTo is open to a receiver that is there, which it owns from now on.
func (s Stream) openTo(ctx context.Context, from Target, to *client, entity string, id int64) (*stream, error) {
	sender, err := connectElsewhere(ctx, from, to.process)
	if err != nil {
		to.close()
		return nil, err
	}
	datagrams := from.Datagrams() || to.to.Datagrams()
	r := &stream{from: sender, to: &receiver{client: to, gaps: datagrams}, window: s.Window, datagrams: datagrams,
		out: newMessage(from, entity, id, s.Size, s.Receipts)}
	r.arrived.grown, r.answered.grown = make(chan struct{}, 1), make(chan struct{}, 1)
	if err := r.first(s.Receipts); err != nil {
		r.close()
		return nil, fmt.Errorf("the first message from %s to %s: %w", from.Address, to.to.Address, err)
	}
	return r, nil
}

// elsewhere is how many connections are made to find one in another process.
const elsewhere = 64

// connectElsewhere connects a client that process does not serve, if it can be had.
func connectElsewhere(ctx context.Context, t Target, process int) (k *client, err error) {
	for range elsewhere {
		if k, err = connect(ctx, t); err != nil || k.process != process {
			return k, err
		}
		defer k.close() // held meanwhile, so that the next one is served elsewhere
	}
	return connect(ctx, t)
}

func (r *stream) close() {
	r.from.close()
	r.to.close()
}

// first sends the message with the number 0.
func (r *stream) first(receipts bool) error {
	deadline := time.Now().Add(answerTime)
	_ = r.from.SetDeadline(deadline)
	_ = r.to.SetDeadline(deadline)
	if _, err := r.from.Write(r.out.bytes); err != nil {
		return err
	}
	if receipts {
		frame, err := r.from.frame()
		if err != nil {
			return err
		}
		r.receipt = message{bytes: bytes.Clone(frame)}
		r.receipt.find()
		if !bytes.Contains(frame, []byte(`"receipt"`)) || len(r.receipt.numbers) != 1 {
			return fmt.Errorf("the answer is %q", frame)
		}
	}
	frame, err := r.to.frame()
	if err != nil {
		return err
	}
	if err := r.to.learn(frame, r.out); err != nil {
		return err
	}
	return errors.Join(r.from.SetDeadline(time.Time{}), r.to.SetDeadline(time.Time{}))
}

// run sends messages that next makes of the ones before.
func (r *stream) run(ctx context.Context, length time.Duration, next func()) (Result, error) {
	defer r.close()
	defer interrupt(ctx, []net.Conn{r.from.Conn, r.to.Conn})()
	var readers sync.WaitGroup
	receivers := append([]*receiver{r.to}, r.others...)
	r.failed = make(chan error, len(receivers)+1)
	began := time.Now()
	for _, v := range receivers {
		v.last = began
		readers.Go(func() { r.failed <- r.receive(v) })
	}
	if r.receipt.bytes != nil {
		readers.Go(func() { r.failed <- r.take() })
	}
	err := r.send(ctx, began.Add(length), next)
	r.from.close()
	last := began
	for _, v := range receivers {
		v.close()
	}
	readers.Wait()
	if ctx.Err() != nil {
		return Result{}, context.Cause(ctx)
	}
	for _, v := range receivers {
		if v.last.After(last) {
			last = v.last
		}
	}
	n := int(r.arrived.n.Load())
	return Result{Count: n, Lost: r.sent - n, PerSecond: float64(n) / last.Sub(began).Seconds()}, err
}
