package script

import (
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/antano/antano/shared/wire"
)

// maxRights is how many descriptors come with one write. Source: docs/protocol.md
// "Moves".
const maxRights = 16

// Transfer reads the first frame of a transfer connection.
func (l *Link) Transfer() (t wire.Transfer, err error) {
	if l.First.Type != wire.TypeTransfer {
		return t, fmt.Errorf("its first frame is %s, not %s", l.First.Type, wire.TypeTransfer)
	}
	return t, t.Parse(l.First.Body)
}

// Pump passes on what two transfer connections say to each other, descriptors
// included, until they end.
func (m *Manager) Pump(a, b *Link) {
	m.wg.Go(func() { pump(a, b) })
	m.wg.Go(func() { pump(b, a) })
}

func pump(from, to *Link) {
	defer to.conn.CloseWrite()
	b, oob := make([]byte, 64<<10), make([]byte, unix.CmsgSpace(maxRights*4))
	for {
		n, rights, _, _, err := from.conn.ReadMsgUnix(b, oob)
		if n == 0 || err != nil {
			return
		}
		_, _, err = to.conn.WriteMsgUnix(b[:n], oob[:rights], nil)
		closeRights(oob[:rights])
		if err != nil {
			return
		}
	}
}

// closeRights closes our copies of descriptors that were passed on.
func closeRights(oob []byte) {
	messages, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		return
	}
	for _, m := range messages {
		fds, err := unix.ParseUnixRights(&m)
		if err != nil {
			continue
		}
		for _, fd := range fds {
			_ = unix.Close(fd)
		}
	}
}
