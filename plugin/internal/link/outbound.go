package link

import (
	"fmt"

	"github.com/antano/antano/shared/wire"
)

// Message queues a message frame and returns at once; Flush writes it. The error is
// wire.ErrFull or wire.ErrClosed.
func (l *Link) Message(m *wire.Message) error {
	return l.queue.Put(m.FrameSize(), wire.Charge{Silent: m.Silent()}, func(dst []byte) []byte { return wire.AppendMessage(dst, m) })
}

// Control queues a frame that must not be dropped. A manager that reads so little
// that even those find no room loses the link.
func (l *Link) Control(encode func(dst []byte) []byte) error {
	err := l.queue.PutControl(encode)
	if err == wire.ErrFull {
		err = fmt.Errorf("write relay link: %d bytes wait and the manager does not read: %w", l.queue.Queued(), err)
		l.fail(err)
	}
	return err
}

// Space returns a channel that is closed when messages fit again, or when the link
// is gone.
func (l *Link) Space() <-chan struct{} { return l.queue.Space() }

// Flush writes what the socket takes now and leaves the rest to the link's writer.
func (l *Link) Flush() { l.queue.Flush() }
