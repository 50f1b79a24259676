package mosquitto

import (
	"encoding/binary"
	"fmt"
	"io"
	"net"
)

const (
	connect   = 0x10
	connack   = 0x20
	publish   = 0x30
	subscribe = 0x82
	suback    = 0x90
)

// Words is the protocol for clients that write bytes made before.
type Words struct{}

// Connect greets; the broker has taken the connection when it returns.
func (Words) Connect(c net.Conn) error {
	// protocol name and level, clean session, no keep-alive, an id that the broker makes
	return converse(c, connect, []byte("\x00\x04MQTT\x04\x02\x00\x00\x00\x00"), connack, []byte{0, 0})
}

// Subscribe greets and subscribes to a topic.
func (w Words) Subscribe(c net.Conn, topic string) error {
	if err := w.Connect(c); err != nil {
		return err
	}
	body := append(appendString([]byte{0, 1}, topic), 0) // packet 1, QoS 0
	return converse(c, subscribe, body, suback, []byte{0, 1, 0})
}

func converse(c net.Conn, kind byte, body []byte, wantKind byte, want []byte) error {
	if _, err := c.Write(append(binary.AppendUvarint([]byte{kind}, uint64(len(body))), body...)); err != nil {
		return err
	}
	got := make([]byte, 2+len(want))
	if _, err := io.ReadFull(c, got); err != nil {
		return err
	}
	if got[0] != wantKind || string(got[2:]) != string(want) {
		return fmt.Errorf("mosquitto answers %x to a packet 0x%x", got, kind)
	}
	return nil
}

// Publish is the bytes of one message to a topic, QoS 0.
func (Words) Publish(topic string, payload []byte) []byte {
	return appendPublish(nil, topic, payload)
}

// Arrival is the bytes of that message at a subscriber: the same.
func (Words) Arrival(topic string, payload []byte) []byte {
	return appendPublish(nil, topic, payload)
}

func appendPublish(b []byte, topic string, payload []byte) []byte {
	b = binary.AppendUvarint(append(b, publish), uint64(2+len(topic)+len(payload)))
	return append(appendString(b, topic), payload...)
}

func appendString(b []byte, s string) []byte {
	return append(binary.BigEndian.AppendUint16(b, uint16(len(s))), s...)
}
