package redis

import (
	"fmt"
	"io"
	"net"
	"strconv"
)

// Words is the protocol for clients that write bytes made before.
type Words struct{}

// Connect turns replies off, which a publisher would only throw away.
func (Words) Connect(c net.Conn) error {
	if err := converse(c, "PING\r\n", "+PONG\r\n"); err != nil {
		return err
	}
	_, err := io.WriteString(c, "CLIENT REPLY OFF\r\n")
	return err
}

// Subscribe subscribes to a channel; the server has the subscription when it returns.
func (Words) Subscribe(c net.Conn, channel string) error {
	return converse(c, "SUBSCRIBE "+channel+"\r\n", fmt.Sprintf("*3\r\n$9\r\nsubscribe\r\n$%d\r\n%s\r\n:1\r\n", len(channel), channel))
}

func converse(c net.Conn, say, want string) error {
	if _, err := io.WriteString(c, say); err != nil {
		return err
	}
	got := make([]byte, len(want))
	if _, err := io.ReadFull(c, got); err != nil {
		return err
	}
	if string(got) != want {
		return fmt.Errorf("redis says %q to %q", got, say)
	}
	return nil
}

// Publish is the bytes of one message to a channel.
func (Words) Publish(channel string, payload []byte) []byte {
	return appendPublish(nil, channel, payload)
}

func appendPublish(b []byte, channel string, payload []byte) []byte {
	b = append(b, "*3\r\n$7\r\nPUBLISH\r\n"...)
	b = append(append(appendLength(b, len(channel)), channel...), '\r', '\n')
	return append(append(appendLength(b, len(payload)), payload...), '\r', '\n')
}

// Arrival is the bytes of that message at a subscriber.
func (Words) Arrival(channel string, payload []byte) []byte {
	return fmt.Appendf(nil, "*3\r\n$7\r\nmessage\r\n$%d\r\n%s\r\n$%d\r\n%s\r\n", len(channel), channel, len(payload), payload)
}

func appendLength(b []byte, n int) []byte {
	return append(strconv.AppendInt(append(b, '$'), int64(n), 10), '\r', '\n')
}
