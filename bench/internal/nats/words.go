package nats

import (
	"bufio"
	"fmt"
	"net"
	"strings"
)

// Words is the protocol for clients that write bytes made before.
type Words struct{}

// Connect greets; the server has taken the connection when it returns.
func (Words) Connect(c net.Conn) error { return converse(c, hello) }

// Subscribe greets and subscribes to a subject.
func (Words) Subscribe(c net.Conn, subject string) error {
	return converse(c, hello+"SUB "+subject+" 1\r\n")
}

const hello = `CONNECT {"verbose":false,"pedantic":false,"echo":true,"protocol":0}` + "\r\n"

// converse says what is given and waits for the answer to a PING after it.
func converse(c net.Conn, words string) error {
	if _, err := c.Write([]byte(words + "PING\r\n")); err != nil {
		return err
	}
	r := bufio.NewReaderSize(oneByte{c}, 4096)
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return err
		}
		switch {
		case line == "PONG\r\n":
			return nil
		case strings.HasPrefix(line, "-ERR"):
			return fmt.Errorf("nats says %s", strings.TrimSpace(line))
		}
	}
}

// oneByte reads no further than it must, since what follows is not ours.
type oneByte struct{ c net.Conn }

func (o oneByte) Read(p []byte) (int, error) { return o.c.Read(p[:1]) }

// Publish is the bytes of one message to a subject.
func (Words) Publish(subject string, payload []byte) []byte {
	return fmt.Appendf(nil, "PUB %s %d\r\n%s\r\n", subject, len(payload), payload)
}

// Arrival is the bytes of that message at a subscriber.
func (Words) Arrival(subject string, payload []byte) []byte {
	return fmt.Appendf(nil, "MSG %s 1 %d\r\n%s\r\n", subject, len(payload), payload)
}
