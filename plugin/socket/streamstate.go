package socket

import (
	"encoding/binary"

	"github.com/antano/antano/shared"
)

// streamState is what a connection takes along, beside its descriptor.
type streamState struct {
	address string
	waiting int64    // since when the peer has been silent, Unix nanoseconds; 0: not at all
	parked  [][]byte // messages that were read and not taken
	unread  []byte   // input behind them
	author  []byte   // what Config.SaveClient returned
	decoder decoderState
}

// decoderState is a decoder between two pieces.
type decoderState struct {
	framing shared.Framing
	part    []byte
	header  []byte // 0 to 3 bytes
	length  int    // -1 while the header is incomplete
	skip    int
	inSkip  bool
}

func (d *decoder) save() decoderState {
	return decoderState{
		framing: d.framing, part: d.part, header: d.header[:d.have], length: d.length, skip: d.skip, inSkip: d.inSkip,
	}
}

// restore goes on where another decoder stopped. What that one held is held here, also
// above the bound, which is the same there.
func (d *decoder) restore(s *decoderState) {
	d.framing, d.length, d.skip, d.inSkip = s.framing, s.length, s.skip, s.inSkip
	d.part = s.part
	d.hold.force(cap(d.part))
	d.have = copy(d.header[:], s.header)
}

func (s *streamState) append(dst []byte) []byte {
	dst = append(dst, stateVersion, byte(kindStream))
	dst = appendBytes(dst, s.address)
	dst = binary.BigEndian.AppendUint64(dst, uint64(s.waiting))
	dst = appendMessages(dst, s.parked)
	dst = appendBytes(dst, s.unread)
	dst = appendBytes(dst, s.author)
	d := &s.decoder
	dst = appendBytes(dst, d.framing)
	dst = appendBytes(dst, d.part)
	dst = appendBytes(dst, d.header)
	dst = binary.BigEndian.AppendUint32(dst, uint32(d.length+1))
	dst = binary.BigEndian.AppendUint32(dst, uint32(d.skip))
	return appendBool(dst, d.inSkip)
}

// parseStream reads what append wrote. Nothing is kept of f.
func parseStream(f *fields) (*streamState, error) {
	s := &streamState{address: string(f.bytes()), waiting: f.int64(), parked: f.messages(), unread: f.bytes(), author: f.bytes()}
	d := &s.decoder
	d.framing = shared.Framing(f.bytes())
	d.part, d.header = f.bytes(), f.bytes()
	length, skip := f.uint32(), f.uint32()
	d.inSkip = f.bool()
	if err := f.end(); err != nil {
		return nil, err
	}
	if length > shared.MaxFrameBytes+1 || skip > shared.MaxFrameBytes || s.waiting < 0 {
		return nil, errState
	}
	d.length, d.skip = int(length)-1, int(skip)
	if !d.consistent() {
		return nil, errState
	}
	return s, nil
}

// consistent reports whether a decoder can be in this state.
func (d *decoderState) consistent() bool {
	switch d.framing {
	case shared.FramingLength32:
		within := d.length > len(d.part) && len(d.header) == 0 && d.skip == 0
		between := d.length == -1 && len(d.part) == 0 && len(d.header) < 4 && (d.skip == 0 || len(d.header) == 0)
		return !d.inSkip && (within || between)
	case shared.FramingNone, shared.FramingLine:
		return d.length == -1 && len(d.header) == 0 && d.skip == 0 && !(d.inSkip && len(d.part) > 0)
	}
	return false
}
