package relay

import (
	"encoding/binary"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/antano/antano/shared"
	"github.com/antano/antano/shared/wire"
)

// gives answers the next request for sockets with the given records, each with a
// descriptor if it has one.
func (f *fake) gives(g *rig, names []string, fds []int) {
	f.Helper()
	move, err := wire.ParseU64(f.next(wire.TypeGiveSockets).Body)
	if err != nil {
		f.Fatal(err)
	}
	conn := g.dial()
	hello := wire.Hello{Version: shared.ProtocolVersion, Process: f.process, Generation: 1, Secret: launchOf(f.process, 1).Secret}
	conn.Write(wire.AppendTransfer(nil, &wire.Transfer{Hello: hello, Move: move}))
	for i, name := range names {
		record := binary.BigEndian.AppendUint32(nil, uint32(1+len(name)))
		record = append(append(record, recordSocket), name...)
		var rights []byte
		if i < len(fds) {
			rights = unix.UnixRights(fds[i])
		}
		if _, _, err := conn.WriteMsgUnix(record, rights, nil); err != nil {
			break // refused before
		}
	}
	conn.CloseWrite()
}

// The descriptors that a process inherited come by their names; one that does not keep
// to the rules leaves nothing open.
func TestSockets(t *testing.T) {
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	fd := int(null.Fd())
	many := make([]string, maxSockets+1)
	fds := make([]int, len(many))
	for i := range many {
		many[i], fds[i] = "slot", fd
	}
	for name, c := range map[string]struct {
		names []string
		fds   []int
		want  string
	}{
		"two":           {[]string{"tcp", "share"}, []int{fd, fd}, ""},
		"none":          {nil, nil, ""},
		"no descriptor": {[]string{"tcp", "share"}, []int{fd}, `the descriptor of "share" did not come`},
		"no name":       {[]string{""}, []int{fd}, "is no socket"},
		"too many":      {many, fds, "one too many"},
	} {
		g := newRig(t, Config{})
		f := g.start(1, 1)
		before := openFDs(t)
		var got []Socket
		var err error
		done := make(chan struct{})
		go func() { got, err = f.link.Sockets(t.Context()); close(done) }()
		f.gives(g, c.names, c.fds)
		<-done
		if c.want != "" {
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%s: %v", name, err)
			}
		} else if err != nil || len(got) != len(c.names) {
			t.Errorf("%s: %v, %v", name, got, err)
		}
		for i, s := range got {
			if s.Name != c.names[i] {
				t.Errorf("%s: %q, want %q", name, s.Name, c.names[i])
			}
		}
		closeSockets(got)
		if after := openFDs(t); after > before+2 { // the transfer connection may still be closing
			t.Errorf("%s: %d descriptors, %d before", name, after, before)
		}
		f.conn.Close()
		<-f.link.Down()
	}
}

func openFDs(t *testing.T) int {
	t.Helper()
	fds, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(fds)
}
