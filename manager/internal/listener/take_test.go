package listener

import (
	"net"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// duplicates are descriptors as a process gives them back.
func duplicates(t *testing.T, g *Group) (all []Socket) {
	t.Helper()
	for _, s := range g.Sockets() {
		fd, err := unix.Dup(s.FD)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, Socket{s.Name, fd})
	}
	return all
}

// Sockets that an earlier manager opened serve on with their address, and a Unix
// socket's file goes with the group.
func TestTake(t *testing.T) {
	file := filepath.Join(t.TempDir(), "s")
	for name, bind := range map[string]func() (*Group, error){
		"tcp":  func() (*Group, error) { return Bind(0, "127.0.0.1", TCP, 0) },
		"udp":  func() (*Group, error) { return Bind(0, "127.0.0.1", UDP, 0) },
		"unix": func() (*Group, error) { return BindUnixSocket(file, 0o600, "stream", 0) },
	} {
		first, err := bind()
		if err != nil {
			t.Fatal(err)
		}
		sockets := duplicates(t, first)
		first.file = nil // as after SIGKILL
		first.Close()
		g, err := Take(first.Address(), sockets)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if name != "udp" {
			c, err := net.Dial(name, g.Address())
			if err != nil {
				t.Errorf("%s: %v", name, err)
			} else {
				c.Close()
			}
		}
		if flags, err := unix.FcntlInt(uintptr(g.Sockets()[0].FD), unix.F_GETFD, 0); err != nil || flags&unix.FD_CLOEXEC == 0 {
			t.Errorf("%s: flags %#x, %v", name, flags, err)
		}
		g.Close()
	}
	if err := unix.Access(file, unix.F_OK); err == nil {
		t.Error("the Unix socket's file is left")
	}
}

// A descriptor that is not the service's socket is refused and left alone.
func TestTakeRefuses(t *testing.T) {
	g, err := Bind(0, "127.0.0.1", TCP, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	sockets := duplicates(t, g)
	defer unix.Close(sockets[0].FD)
	page, err := NewPage()
	if err != nil {
		t.Fatal(err)
	}
	defer page.Close()
	for name, c := range map[string]struct {
		address string
		sockets []Socket
		want    string
	}{
		"none":          {g.Address(), nil, "there are none"},
		"another port":  {"127.0.0.1:1", sockets, "bound to port"},
		"a path":        {"/tmp/x", sockets, "not an ip:port"},
		"not a socket":  {g.Address(), []Socket{{"tcp", page.FD()}}, "socket operation on non-socket"},
		"no descriptor": {g.Address(), []Socket{{"tcp", 1 << 20}}, "bad file descriptor"},
	} {
		if _, err := Take(c.address, c.sockets); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := unix.SetNonblock(sockets[0].FD, false); err != nil {
		t.Fatal(err)
	}
	if _, err := Take(g.Address(), sockets); err == nil || !strings.Contains(err.Error(), "blocking") {
		t.Errorf("blocking: %v", err)
	}
}

// A page is mapped again with what was counted.
func TestOpenPage(t *testing.T) {
	p, err := NewPage()
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	p.row(3)[wordMessagesIn] = 9
	fd, err := unix.Dup(p.FD())
	if err != nil {
		t.Fatal(err)
	}
	again, err := OpenPage(fd)
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	if got := again.Snapshot(3).MessagesIn; got != 9 {
		t.Errorf("%d messages", got)
	}
	small, err := unix.MemfdCreate("small", unix.MFD_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(small)
	if _, err := OpenPage(small); err == nil {
		t.Error("an empty page was mapped")
	}
	if err := unix.Ftruncate(small, MaxRows*RowSize); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenPage(small); err == nil {
		t.Error("a page that can shrink was mapped")
	}
}
