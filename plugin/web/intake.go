package web

import (
	"io"
	"sync"
	"sync/atomic"

	"github.com/antano/antano/shared"
)

// pieceSize is what a message takes before it counts.
const pieceSize = 4 << 10

// Intake reads messages and bounds what they hold: each by max_message_bytes, and all that
// are being read in a process by process_queue_bytes.
type Intake struct {
	max, room int
	used      atomic.Int64
}

// NewIntake makes one for a process with these limits.
func NewIntake(l shared.Limits) *Intake {
	return &Intake{max: l.MaxMessageBytes, room: l.ProcessQueueBytes}
}

var pieces = sync.Pool{New: func() any { return new([pieceSize]byte) }}

// Read reads r to its end. The message is valid until done is called, once. The error is a
// *shared.Error, `too_large` or `overloaded`, with the rest of r not read and nothing to be
// done, or else that of r.
func (in *Intake) Read(r io.Reader) (message []byte, done func(), err error) {
	piece := pieces.Get().(*[pieceSize]byte)
	held := 0
	done = func() {
		in.used.Add(-int64(held))
		pieces.Put(piece)
	}
	message = piece[:0]
	for {
		n, err := r.Read(message[len(message):cap(message)])
		message = message[:len(message)+n]
		switch {
		case len(message) > in.max:
			err = shared.Errorf(shared.CodeTooLarge, "the message has more than %d bytes (max_message_bytes): send less", in.max)
		case err == io.EOF:
			return message, done, nil
		case err == nil && len(message) == cap(message):
			grown := min(2*cap(message), in.max+1)
			if in.used.Add(int64(grown-held)) > int64(in.room) {
				in.used.Add(-int64(grown - held))
				err = shared.Errorf(shared.CodeOverloaded, "the service holds too much of incomplete messages: try again later")
				break
			}
			message = append(make([]byte, 0, grown), message...)
			held = grown
		}
		if err != nil {
			done()
			return nil, nil, err
		}
	}
}
