package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"

	"github.com/antano/antano/bench/internal/mosquitto"
	"github.com/antano/antano/bench/internal/nats"
	"github.com/antano/antano/bench/internal/program"
	"github.com/antano/antano/bench/internal/redis"
)

// words is what raw clients of a broker say and hear.
type words interface {
	Connect(net.Conn) error                            // greet as a publisher
	Subscribe(c net.Conn, topic string) error          // and as a subscriber, who is one when this returns
	Publish(topic string, payload []byte) []byte       // the bytes of one message
	Arrival(topic string, payload []byte) (got []byte) // and as it arrives
}

// broker is a running peer that passes what is published on to who subscribed.
type broker struct {
	name    string
	kind    string // of a child's link
	network string
	address string
	pid     int
	words   words
}

const (
	natsName      = "NATS"
	redisTCP      = "Redis, TCP"
	redisUnix     = "Redis, Unix"
	mosquittoName = "mosquitto"
)

// brokers are started once and then wait idle while others are measured. What is not
// installed is noted and left out.
func (b *bench) brokers(ctx context.Context) ([]broker, error) {
	if b.started != nil {
		return b.started, nil
	}
	dir, err := os.MkdirTemp("", "ab")
	if err != nil {
		return nil, err
	}
	b.cleanup(func() error { return os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil { // mosquitto reads its file as a user of its own
		return nil, err
	}
	for _, start := range []func(context.Context, string) ([]broker, error){b.startNATS, b.startRedis, b.startMosquitto} {
		more, err := start(ctx, dir)
		if err != nil {
			return nil, err
		}
		b.started = append(b.started, more...)
	}
	return b.started, nil
}

func (b *bench) startNATS(ctx context.Context, _ string) ([]broker, error) {
	c, address, err := startServer(ctx, role{Name: "nats"})
	if err != nil {
		return nil, err
	}
	b.cleanup(c.Close)
	b.run.Peers["NATS"] = "nats-server " + nats.Version
	return []broker{{natsName, "nats", "tcp", address, c.PID(), nats.Words{}}}, nil
}

func (b *bench) startRedis(ctx context.Context, dir string) ([]broker, error) {
	s, err := redis.Start(ctx, dir)
	if err != nil {
		return nil, b.absent("Redis", err)
	}
	b.cleanup(s.Close)
	b.run.Peers["Redis"] = program.Version("redis-server", "--version")
	return []broker{
		{redisTCP, "redis", "tcp", s.TCP, s.PID(), redis.Words{}},
		{redisUnix, "redis", "unix", s.Unix, s.PID(), redis.Words{}},
	}, nil
}

func (b *bench) startMosquitto(ctx context.Context, dir string) ([]broker, error) {
	s, err := mosquitto.Start(ctx, dir)
	if err != nil {
		return nil, b.absent("mosquitto", err)
	}
	b.cleanup(s.Close)
	b.run.Peers["mosquitto"] = program.Version("mosquitto", "-h")
	return []broker{{mosquittoName, "mosquitto", "tcp", s.TCP, s.PID(), mosquitto.Words{}}}, nil
}

// absent notes a peer that is not installed; any other error stays one.
func (b *bench) absent(name string, err error) error {
	if !errors.Is(err, program.ErrMissing) {
		return err
	}
	b.run.Peers[name] = err.Error()
	return nil
}

// subscribers connects n clients to a broker that all subscribe to a topic.
func (br broker) subscribers(n int, topic string) ([]net.Conn, error) {
	var conns []net.Conn
	for range n {
		c, err := net.Dial(br.network, br.address)
		if err == nil {
			conns = append(conns, c)
			err = br.words.Subscribe(c, topic)
		}
		if err != nil {
			closeAll(conns)
			return nil, fmt.Errorf("subscriber %d of %s: %w", len(conns), br.name, err)
		}
	}
	return conns, nil
}

func (br broker) publisher() (net.Conn, error) {
	c, err := net.Dial(br.network, br.address)
	if err != nil {
		return nil, err
	}
	return c, br.words.Connect(c)
}

func closeAll(conns []net.Conn) {
	for _, c := range conns {
		c.Close()
	}
}
