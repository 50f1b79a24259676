package main

import (
	"context"
	"fmt"
	"net"

	"github.com/antano/antano/bench/internal/flow"
)

// The join of a msgpack client to room/7, and the head of a message to it.
const (
	packedJoin    = "\x83\xa4type\xa4join\xa6entity\xa4room\xa9entity_id\x07"
	packedMessage = "\x83\xa6entity\xa4room\xa9entity_id\x07\xa7message"
)

// convert sends messages from one service to a client of another, whose format is the
// same, or not.
func (b *bench) convert(ctx context.Context) error {
	s, err := b.serve(ctx, services)
	if err != nil {
		return err
	}
	defer s.Close()
	for range b.rounds {
		for _, p := range []path{{"JSON to JSON", "tcp", "other", false}, {"JSON to msgpack", "tcp", "msgpack", false}, {"msgpack to JSON", "msgpack", "tcp", false}} {
			source, err := at(s, p.from)
			if err != nil {
				return err
			}
			sink, err := at(s, p.to)
			if err != nil {
				return err
			}
			got, err := b.conversion(ctx, source, sink)
			if err != nil {
				return fmt.Errorf("%s: %w", p.name, err)
			}
			b.add("conversion", p.name, "messages/s", got.PerSecond)
		}
	}
	b.run.Table.CompareAll("conversion", "JSON to JSON")
	return s.Close()
}

func (b *bench) conversion(ctx context.Context, source, sink service) (flow.Result, error) {
	to, err := sink.connect()
	if err != nil {
		return flow.Result{}, err
	}
	defer to.Close()
	join := `{"type":"join","entity":"room","entity_id":7}`
	if sink.packed {
		join = packedJoin
	}
	if _, err := to.ask(join); err != nil {
		return flow.Result{}, err
	}
	from, err := source.connect()
	if err != nil {
		return flow.Result{}, err
	}
	defer from.Close()
	value := message("room", 7, false)
	request := source.frame(value)
	if source.packed {
		text := value[len(`{"entity":"room","entity_id":7,"message":"`) : len(value)-2]
		request = source.frame(append([]byte(packedMessage), append([]byte{0xd9, byte(len(text))}, text...)...))
	}
	f := flow.Flow{Request: request, Window: window, Length: b.size.length}
	if f.Arrival, _, err = first(from, to, f.Request, false); err != nil {
		return flow.Result{}, err
	}
	return f.Run(ctx, from.Conn, []net.Conn{to.Conn})
}
