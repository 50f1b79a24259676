package wire

import (
	"encoding/binary"
)

// SecretSize is the size of the secret that proves a process to the manager.
const SecretSize = 32

// HelloSize is the size of a hello as a frame.
const HelloSize = HeaderSize + 1 + 2 + 4 + SecretSize

// welcomeBody is the size of what this version knows of a welcome's body.
const welcomeBody = 1 + 1 + 4 + 4 + 4

// Hello is a plugin's first frame: a hello, a rejoin, and part of a transfer.
type Hello struct {
	Version    uint8
	Process    uint16
	Generation uint32
	Secret     [SecretSize]byte
}

// AppendHello appends h as a frame.
func AppendHello(dst []byte, h *Hello) []byte {
	dst, at := begin(dst, TypeHello)
	return end(h.append(dst), at)
}

func (h *Hello) append(dst []byte) []byte {
	dst = append(dst, h.Version)
	dst = binary.BigEndian.AppendUint16(dst, h.Process)
	dst = binary.BigEndian.AppendUint32(dst, h.Generation)
	return append(dst, h.Secret[:]...)
}

// Parse reads the body of a hello or a rejoin.
func (h *Hello) Parse(body []byte) error {
	c := cursor{b: body}
	h.read(&c)
	return c.done("hello")
}

func (h *Hello) read(c *cursor) {
	h.Version, h.Process, h.Generation = c.u8(), c.u16(), c.u32()
	copy(h.Secret[:], c.take(SecretSize))
}

// Welcome is the manager's answer to a hello. Sequences and Window are the first
// range of client sequences and the bytes that one lane may have in the manager's
// queues before it must wait for credit.
type Welcome struct {
	Version   uint8
	Server    uint8
	Sequences Sequences
	Window    uint32
}

// AppendWelcome appends w as a frame.
func AppendWelcome(dst []byte, w *Welcome) []byte {
	dst, at := begin(dst, TypeWelcome)
	dst = append(dst, w.Version, w.Server)
	dst = binary.BigEndian.AppendUint32(dst, w.Sequences.First)
	dst = binary.BigEndian.AppendUint32(dst, w.Sequences.Count)
	dst = binary.BigEndian.AppendUint32(dst, w.Window)
	return end(dst, at)
}

// Parse reads the body of a welcome. What later versions append is left alone.
func (w *Welcome) Parse(body []byte) error {
	c := cursor{b: body[:min(len(body), welcomeBody)]}
	w.Version, w.Server = c.u8(), c.u8()
	w.Sequences = Sequences{First: c.u32(), Count: c.u32()}
	w.Window = c.u32()
	return c.done("welcome")
}

// Sequences is a range of client sequences that no other generation ever gets.
type Sequences struct{ First, Count uint32 }

// AppendSequences appends a fresh range as a frame.
func AppendSequences(dst []byte, s Sequences) []byte {
	dst, at := begin(dst, TypeSequences)
	dst = binary.BigEndian.AppendUint32(dst, s.First)
	dst = binary.BigEndian.AppendUint32(dst, s.Count)
	return end(dst, at)
}

// Parse reads the body of a sequences frame.
func (s *Sequences) Parse(body []byte) error {
	c := cursor{b: body}
	s.First, s.Count = c.u32(), c.u32()
	return c.done("sequences")
}

// AppendEmpty appends a frame without a body (more sequences).
func AppendEmpty(dst []byte, t Type) []byte {
	dst, at := begin(dst, t)
	return end(dst, at)
}
