package main

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"syscall"

	"github.com/antano/antano/bench/internal/flow"
	"github.com/antano/antano/internal/measure/server"
)

// reserve is how many descriptors are not for clients.
const reserve = 1000

// fanOut sends messages that each go to all of a group, as many as the descriptors of
// one process allow, whose members are in both processes of a service.
func (b *bench) fanOut(ctx context.Context) error {
	brokers, err := b.brokers(ctx)
	if err != nil {
		return err
	}
	for range b.rounds {
		for _, n := range b.size.fanout {
			n = min(n, descriptors()-reserve)
			work := fmt.Sprintf("fan-out to %d", n)
			if err := b.group(ctx, work, n); err != nil {
				return fmt.Errorf("%s of antano: %w", work, err)
			}
			for _, br := range brokers {
				if br.name != natsName && (n > 1000 || br.name == redisUnix) {
					continue
				}
				if err := b.topic(ctx, br, work, n); err != nil {
					return fmt.Errorf("%s of %s: %w", work, br.name, err)
				}
			}
		}
	}
	for _, w := range b.run.Table.Works("fan-out") {
		b.run.Table.CompareAll(w, antanoName)
	}
	return nil
}

// descriptors is how many this process may have open, which Go has raised already.
func descriptors() int {
	var l syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &l); err != nil {
		return 1024
	}
	return int(min(l.Cur, 1<<20))
}

// fanOutWindow is how many messages to a group of n are under way.
func fanOutWindow(n int) int { return max(8, min(1024, 40_000/n)) }

func (b *bench) group(ctx context.Context, work string, n int) error {
	s, err := b.serve(ctx, services)
	if err != nil {
		return err
	}
	defer s.Close()
	tcp, err := at(s, "tcp")
	if err != nil {
		return err
	}
	members, err := joined(tcp, n)
	defer closeAll(members)
	if err != nil {
		return err
	}
	from, err := tcp.connect()
	if err != nil {
		return err
	}
	defer from.Close()
	f := flow.Flow{Request: from.frame(message("room", 7, false)), Window: fanOutWindow(n), Length: b.size.length}
	if f.Arrival, _, err = first(from, &client{Conn: members[0], service: tcp}, f.Request, false); err != nil {
		return err
	}
	for _, c := range members[1:] {
		if err := expect(c, f.Arrival, make([]byte, len(f.Arrival))); err != nil {
			return err
		}
	}
	before, err := processorTime(s)
	if err != nil {
		return err
	}
	got, err := f.Run(ctx, from.Conn, members)
	if err != nil {
		return err
	}
	after, err := processorTime(s)
	b.add(work, antanoName, "deliveries/s", got.PerSecond)
	b.add(work+", CPU of the server", antanoName, "µs/delivery", (after-before)/float64(got.Delivered))
	return err
}

// joined connects members of the group room/7.
func joined(s service, n int) (conns []net.Conn, err error) {
	for range n {
		c, err := s.dial()
		if err != nil {
			return conns, err
		}
		conns = append(conns, c)
		k := &client{Conn: c, service: s}
		answer, err := k.ask(`{"type":"join","entity":"room","entity_id":7}`)
		if err != nil {
			return conns, fmt.Errorf("member %d: %w", len(conns), err)
		}
		if !bytes.Contains(answer, []byte(`"joined"`)) {
			return conns, fmt.Errorf("the answer to a join is %q", answer)
		}
	}
	return conns, nil
}

func (b *bench) topic(ctx context.Context, br broker, work string, n int) error {
	const topic = "room/7"
	members, err := br.subscribers(n, topic)
	if err != nil {
		return err
	}
	defer closeAll(members)
	from, err := br.publisher()
	if err != nil {
		return err
	}
	defer from.Close()
	payload := message("room", 7, false)
	f := flow.Flow{Request: br.words.Publish(topic, payload), Arrival: br.words.Arrival(topic, payload), Window: fanOutWindow(n), Length: b.size.length}
	before, err := server.CPU(br.pid)
	if err != nil {
		return err
	}
	got, err := f.Run(ctx, from, members)
	if err != nil {
		return err
	}
	after, err := server.CPU(br.pid)
	b.add(work, br.name, "deliveries/s", got.PerSecond)
	b.add(work+", CPU of the server", br.name, "µs/delivery", float64((after-before).Microseconds())/float64(got.Delivered))
	return err
}

// processorTime is what manager and processes have used together, in µs.
func processorTime(s *server.Server) (float64, error) {
	st, err := s.Status()
	if err != nil {
		return 0, err
	}
	pids := []int{s.PID()}
	for _, svc := range st.Services {
		for _, p := range svc.Processes {
			pids = append(pids, p.PID)
		}
	}
	total := 0.0
	for _, pid := range pids {
		used, err := server.CPU(pid)
		if err != nil {
			return 0, err
		}
		total += float64(used.Microseconds())
	}
	return total, nil
}
