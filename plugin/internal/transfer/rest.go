package transfer

import (
	"encoding/binary"

	"github.com/antano/antano/shared"
)

// pieceSize is how much of an item goes into one record.
const pieceSize = 1 << 20

// Rest is output of a client that its old process has not written, or a part of it. The
// slices of one that was parsed alias the record.
type Rest struct {
	Client shared.ClientID
	Last   bool // the client's next rest will not come: it may be written to
	Gone   bool // the client has ended
	// Paused are the processes that were told to hold messages for the client back, at
	// most for Budget, in milliseconds, from now on. They come with the last rest.
	Budget uint32
	Paused []uint16
	Pieces []Piece
}

// Piece is an item of output or a part of it.
type Piece struct {
	Item      uint64 // whose end is reported; 0: nobody waits
	Answer    bool   // it is owed to the client itself
	Continues bool   // the next piece belongs to it, too
	Bytes     []byte
}

const (
	flagLast, flagGone        = 1, 2
	flagAnswer, flagContinues = 1, 2
	pieceOverhead             = 8 + 1 + 4
)

// AppendRest appends v as one record after another, none much larger than 1 MiB.
func AppendRest(dst []byte, v *Rest) []byte {
	dst, at := beginRest(dst, v)
	if len(v.Pieces) > 0 && len(v.Paused) > 0 {
		pieces := *v
		pieces.Last, pieces.Paused = false, nil
		return AppendRest(AppendRest(dst[:at], &pieces), &Rest{Client: v.Client, Last: v.Last, Gone: v.Gone, Budget: v.Budget, Paused: v.Paused})
	}
	for _, p := range v.Pieces {
		for rest := p.Bytes; ; {
			n := min(len(rest), pieceSize)
			if len(dst)-at+n > pieceSize+pieceSize/2 {
				dst = end(dst, at)
				dst, at = beginRest(dst, v)
			}
			dst = appendPiece(dst, p, rest[:n], n < len(rest))
			if rest = rest[n:]; len(rest) == 0 {
				break
			}
		}
	}
	if v.Last {
		dst[at+headerSize+8] |= flagLast
	}
	return end(dst, at)
}

func beginRest(dst []byte, v *Rest) ([]byte, int) {
	dst, at := begin(dst, TypeRest)
	var flags byte
	if v.Gone {
		flags = flagGone
	}
	dst = append(binary.BigEndian.AppendUint64(dst, uint64(v.Client)), flags)
	dst = binary.BigEndian.AppendUint32(dst, v.Budget)
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(v.Paused)))
	for _, p := range v.Paused {
		dst = binary.BigEndian.AppendUint16(dst, p)
	}
	return dst, at
}

func appendPiece(dst []byte, p Piece, b []byte, continues bool) []byte {
	var flags byte
	if p.Answer {
		flags |= flagAnswer
	}
	if continues {
		flags |= flagContinues
	}
	dst = append(binary.BigEndian.AppendUint64(dst, p.Item), flags)
	return append(binary.BigEndian.AppendUint32(dst, uint32(len(b))), b...)
}

// Parse reads the body of a rest.
func (v *Rest) Parse(body []byte) error {
	c := cursor{b: body}
	*v = Rest{Client: shared.ClientID(c.u64())}
	flags := c.u8()
	v.Last, v.Gone = flags&flagLast != 0, flags&flagGone != 0
	if flags > flagLast|flagGone {
		c.bad = true
	}
	v.Budget = c.u32()
	for n := c.u16(); n > 0 && !c.bad; n-- {
		v.Paused = append(v.Paused, c.u16())
	}
	for len(c.b) > 0 && !c.bad {
		p := Piece{Item: c.u64()}
		flags := c.u8()
		p.Answer, p.Continues = flags&flagAnswer != 0, flags&flagContinues != 0
		if flags > flagAnswer|flagContinues {
			c.bad = true
		}
		p.Bytes = c.take(int(c.u32()))
		v.Pieces = append(v.Pieces, p)
	}
	return c.err("rest")
}
