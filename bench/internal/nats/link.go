package nats

import (
	"fmt"

	natsgo "github.com/nats-io/nats.go"
)

// waiting is how many messages a subscription holds, more than any work has in flight.
const waiting = 1 << 20

// Link is a pair of subjects over one connection of the client library: it receives on
// its own and sends to the other peer's.
type Link struct {
	conn *natsgo.Conn
	in   chan *natsgo.Msg
	to   string
}

// Dial connects and subscribes; the server has the subscription when it returns.
func Dial(address string, self, to int) (*Link, error) {
	conn, err := natsgo.Connect("nats://"+address, natsgo.NoReconnect())
	if err != nil {
		return nil, err
	}
	l := &Link{conn: conn, in: make(chan *natsgo.Msg, waiting), to: subject(to)}
	if _, err := conn.ChanSubscribe(subject(self), l.in); err != nil {
		return nil, err
	}
	return l, conn.Flush()
}

func subject(peer int) string { return fmt.Sprintf("p%d", peer) }

// Send queues a message; the library writes it soon.
func (l *Link) Send(payload []byte) error { return l.conn.Publish(l.to, payload) }

// Flush does nothing: the library writes what is queued as soon as it can.
func (l *Link) Flush() error { return nil }

// Receive returns the next message.
func (l *Link) Receive() ([]byte, error) {
	m, ok := <-l.in
	if !ok {
		return nil, natsgo.ErrConnectionClosed
	}
	return m.Data, nil
}

// Close ends the connection.
func (l *Link) Close() error {
	l.conn.Close()
	return nil
}
