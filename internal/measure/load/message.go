package load

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"
)

// zero is the number in every message, counted up in place: of fixed width, so that
// all messages of a load have the same length.
const zero = "0000000000"

// message is the bytes of one message on the wire, and the places in it that change.
type message struct {
	bytes   []byte
	numbers []int // where its number is
	group   int   // where the id of a group is; 0 when it stays
}

// firstGroup is the lowest group id that loads use: all of theirs have as many digits.
const firstGroup = 1_000_000_000

// newMessage is a message object for target t of about size bytes, frame apart.
func newMessage(t Target, entity string, id int64, size int, receipt bool) message {
	head, tail := fmt.Sprintf(`{"entity":%q,"entity_id":%d,"message":"%s`, entity, id, zero), `"}`
	if receipt {
		tail = `","id":"` + zero + `"}`
	}
	pad := strings.Repeat("x", max(0, size-len(head)-len(tail)))
	var m message
	switch {
	case t.PackedIn:
		m.bytes = packedMessage(entity, id, zero+pad)
	case t.lines():
		m.bytes = []byte(head + pad + tail + "\n")
	default:
		m.bytes = []byte(head + pad + tail)
	}
	m.find()
	if entity == groupEntity {
		m.group = bytes.Index(m.bytes, []byte(fmt.Sprint(id)))
	}
	return m
}

// find notes where the numbers are.
func (m *message) find() {
	m.numbers = nil
	for at := 0; ; at += len(zero) {
		i := bytes.Index(m.bytes[at:], []byte(zero))
		if i < 0 {
			return
		}
		at += i
		m.numbers = append(m.numbers, at)
	}
}

// next counts the number up.
func (m *message) next() {
	for _, at := range m.numbers {
		for i := at + len(zero) - 1; ; i-- {
			if m.bytes[i]++; m.bytes[i] <= '9' {
				break
			}
			m.bytes[i] = '0'
		}
	}
}

// number reads the first number of a message of the same form.
func (m *message) number(frame []byte) int {
	return decimal(frame[m.numbers[0] : m.numbers[0]+len(zero)])
}

func (m *message) setNumber(n int) {
	text := fmt.Sprintf("%0*d", len(zero), n)
	for _, at := range m.numbers {
		copy(m.bytes[at:], text)
	}
}

// setGroup addresses the nth group.
func (m *message) setGroup(n int) {
	for i, v := m.group+len(zero)-1, firstGroup+n; i >= m.group; i-- {
		m.bytes[i] = byte('0' + v%10)
		v /= 10
	}
}

func decimal(digits []byte) (n int) {
	for _, d := range digits {
		n = n*10 + int(d-'0')
	}
	return n
}

// packedMessage is a message object as msgpack behind its length.
func packedMessage(entity string, id int64, value string) []byte {
	b := []byte{0, 0, 0, 0, 0x83}
	b = append(packedText(b, "entity"), byte(0xa0|len(entity)))
	b = append(packedText(append(b, entity...), "entity_id"), 0xcf)
	b = packedText(binary.BigEndian.AppendUint64(b, uint64(id)), "message")
	b = binary.BigEndian.AppendUint16(append(b, 0xda), uint16(len(value)))
	b = append(b, value...)
	binary.BigEndian.PutUint32(b, uint32(len(b)-4))
	return b
}

// packedText appends a text of fewer than 32 bytes.
func packedText(b []byte, s string) []byte { return append(append(b, byte(0xa0|len(s))), s...) }
