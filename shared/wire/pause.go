package wire

import (
	"encoding/binary"

	"github.com/antano/antano/shared"
)

// Pause tells the process Process that the queue of Client is full (TypePause) or
// has room again (TypeResume, Budget 0). Budget is how many milliseconds of
// push-back the client has left: a source waits no longer, and with 0 not at all.
// Towards the manager Process is who is told; from the manager, who asked.
type Pause struct {
	Client  shared.ClientID
	Process uint16
	Budget  uint32
}

// AppendPause appends p as a frame of type TypePause or TypeResume.
func AppendPause(dst []byte, t Type, p *Pause) []byte {
	dst, at := begin(dst, t)
	dst = binary.BigEndian.AppendUint64(dst, uint64(p.Client))
	dst = binary.BigEndian.AppendUint16(dst, p.Process)
	dst = binary.BigEndian.AppendUint32(dst, p.Budget)
	return end(dst, at)
}

// Parse reads the body of pause or resume.
func (p *Pause) Parse(body []byte) error {
	c := cursor{b: body}
	p.Client, p.Process, p.Budget = shared.ClientID(c.u64()), c.u16(), c.u32()
	return c.done("pause")
}

// SenderPause tells the process of Client, a sender to the handler of Service, that
// the handler's queue is full (TypePauseSender) or has room again
// (TypeResumeSender, Budget 0). Budget is as in Pause.
type SenderPause struct {
	Service int64
	Client  shared.ClientID
	Budget  uint32
}

// AppendSenderPause appends p as a frame of type TypePauseSender or
// TypeResumeSender.
func AppendSenderPause(dst []byte, t Type, p *SenderPause) []byte {
	dst, at := begin(dst, t)
	dst = binary.BigEndian.AppendUint64(dst, uint64(p.Service))
	dst = binary.BigEndian.AppendUint64(dst, uint64(p.Client))
	dst = binary.BigEndian.AppendUint32(dst, p.Budget)
	return end(dst, at)
}

// Parse reads the body of pause sender or resume sender.
func (p *SenderPause) Parse(body []byte) error {
	c := cursor{b: body}
	p.Service, p.Client, p.Budget = int64(c.u64()), shared.ClientID(c.u64()), c.u32()
	return c.done("sender pause")
}
