package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/antano/antano/bench/internal/flow"
	"github.com/antano/antano/internal/measure/server"
)

// window is how many messages of clients are under way at once, of which no queue is
// overfull, and of datagrams.
const (
	window          = 2048
	windowDatagrams = 128
)

// message is an object of mainSize bytes to an entity, or a little more where the
// address is long; the brokers carry as many.
func message(entity string, id int64, receipt bool) []byte {
	head := fmt.Sprintf(`{"entity":%q,"entity_id":%d,`, entity, id)
	if receipt {
		head += `"id":1,`
	}
	head += `"message":"`
	return []byte(head + strings.Repeat("x", max(8, mainSize-len(head)-2)) + `"}`)
}

// path is a way from one client to another.
type path struct {
	name, from, to string
	receipt        bool
}

var paths = []path{
	{"TCP to TCP", "tcp", "tcp", false},
	{"TCP to TCP with receipts", "tcp", "tcp", true},
	{"UDP to TCP", "udp", "tcp", false},
	{"UDP to TCP with receipts", "udp", "tcp", true},
	{"Unix to UDP", "unix", "udp", false},
	{"Unix to UDP with receipts", "unix", "udp", true},
}

// endToEnd sends JSON messages from a client to a client of another process, as many
// as it can and one at a time. The brokers do what compares with TCP to TCP.
func (b *bench) endToEnd(ctx context.Context) error {
	brokers, err := b.brokers(ctx)
	if err != nil {
		return err
	}
	s, err := b.serve(ctx, services)
	if err != nil {
		return err
	}
	defer s.Close()
	for range b.rounds {
		for _, p := range paths {
			if err := b.path(ctx, s, p); err != nil {
				return fmt.Errorf("%s: %w", p.name, err)
			}
			for _, br := range brokers {
				if p != paths[0] || br.name == redisUnix {
					continue
				}
				if err := b.brokerPath(ctx, br, p); err != nil {
					return fmt.Errorf("%s: %w", br.name, err)
				}
			}
		}
	}
	for _, w := range b.run.Table.Works("end to end") {
		b.run.Table.CompareAll(w, antanoName)
	}
	return s.Close()
}

func (b *bench) path(ctx context.Context, s *server.Server, p path) error {
	from, to, err := pair(s, p)
	if err != nil {
		return err
	}
	defer from.Close()
	defer to.Close()
	f := flow.Flow{Request: from.frame(message("client", to.id, p.receipt)), Window: window, Length: b.size.length,
		Datagrams: from.datagrams(), Packets: to.datagrams()}
	if f.Datagrams || f.Packets {
		f.Window = windowDatagrams
	}
	if f.Arrival, f.Receipt, err = first(from, to, f.Request, p.receipt); err != nil {
		return err
	}
	return b.flow(ctx, antanoName, p.name, f, from.Conn, to.Conn)
}

// pair connects the two clients of a path, in different processes.
func pair(s *server.Server, p path) (from, to *client, err error) {
	source, err := at(s, p.from)
	if err != nil {
		return nil, nil, err
	}
	sink, err := at(s, p.to)
	if err != nil {
		return nil, nil, err
	}
	if to, err = sink.connect(); err != nil {
		return nil, nil, err
	}
	if from, err = source.connectElsewhere(to.process); err != nil {
		to.Close()
	}
	return from, to, err
}

// first sends a message and returns the bytes that arrive, which all others must equal.
func first(from, to *client, request []byte, receipt bool) (arrival, answer []byte, err error) {
	if _, err := from.Write(request); err != nil {
		return nil, nil, err
	}
	if arrival, err = to.next(); err != nil {
		return nil, nil, fmt.Errorf("the first message does not arrive: %w", err)
	}
	if !to.packed && !bytes.Contains(arrival, []byte("xxxxxxxx\"")) {
		return nil, nil, fmt.Errorf("%q arrives for %q", arrival, request)
	}
	if receipt {
		if answer, err = from.next(); err == nil && !bytes.Contains(answer, []byte(`"delivered":1`)) {
			err = fmt.Errorf("the answer to %q is %q", request, answer)
		}
	}
	return arrival, answer, err
}

func (b *bench) brokerPath(ctx context.Context, br broker, p path) error {
	const topic = "clients/1"
	to, err := br.subscribers(1, topic)
	if err != nil {
		return err
	}
	defer closeAll(to)
	from, err := br.publisher()
	if err != nil {
		return err
	}
	defer from.Close()
	payload := message("client", 1, false)
	f := flow.Flow{Request: br.words.Publish(topic, payload), Arrival: br.words.Arrival(topic, payload), Window: window, Length: b.size.length}
	return b.flow(ctx, br.name, p.name, f, from, to[0])
}

// flow measures a path pipelined and one at a time.
func (b *bench) flow(ctx context.Context, who, path string, f flow.Flow, from, to net.Conn) error {
	got, err := f.Run(ctx, from, []net.Conn{to})
	if err != nil {
		return err
	}
	b.add("end to end, "+path, who, "messages/s", got.PerSecond)
	if f.Datagrams || f.Packets {
		b.add("end to end, "+path+", lost", who, "%", 100*float64(got.Lost)/float64(got.Sent))
		return nil
	}
	p50, _, err := latency(ctx, f, from, to, max(20, b.size.trips/10))
	b.add("end to end, "+path+", one at a time, p50", who, "µs", p50)
	return err
}

// latency sends one message at a time, n times, and returns how long it took until it
// arrived, and its receipt too.
func latency(ctx context.Context, f flow.Flow, from, to net.Conn, n int) (p50, p99 float64, err error) {
	defer context.AfterFunc(ctx, func() { from.SetDeadline(time.Unix(1, 0)); to.SetDeadline(time.Unix(1, 0)) })()
	if err := errors.Join(from.SetDeadline(time.Now().Add(time.Minute)), to.SetDeadline(time.Now().Add(time.Minute))); err != nil {
		return 0, 0, err
	}
	buf := make([]byte, max(len(f.Arrival), len(f.Receipt)))
	took := make([]float64, 0, n)
	for range n {
		began := time.Now()
		if _, err := from.Write(f.Request); err != nil {
			return 0, 0, err
		}
		if err := expect(to, f.Arrival, buf); err != nil {
			return 0, 0, err
		}
		if err := expect(from, f.Receipt, buf); err != nil {
			return 0, 0, err
		}
		took = append(took, float64(time.Since(began).Nanoseconds())/1e3)
	}
	slices.Sort(took)
	return took[n/2], took[n*99/100], nil
}

func expect(c net.Conn, want, buf []byte) error {
	for at := 0; at < len(want); {
		n, err := c.Read(buf[at:len(want)])
		if err != nil {
			return err
		}
		at += n
	}
	if !bytes.Equal(buf[:len(want)], want) {
		return fmt.Errorf("got %q where %q was due", buf[:len(want)], want)
	}
	return nil
}
