package listener

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

var socketTypes = []string{"dgram", "stream", "seqpacket"}

func openUnix(t *testing.T, file string, mode uint32, typ string) *Group {
	t.Helper()
	g, err := BindUnixSocket(file, mode, typ, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(g.Close)
	return g
}

func TestBindUnixSocket(t *testing.T) {
	old := unix.Umask(0o027)
	defer unix.Umask(old)
	for _, typ := range socketTypes {
		for _, mode := range []uint32{0o600, 0o660, 0o666, 0o777} {
			file := filepath.Join(t.TempDir(), "s")
			g := openUnix(t, file, mode, typ)
			if len(g.Sockets()) != 1 || g.Sockets()[0].Name != "unix" || g.Address() != file {
				t.Fatalf("%s: %v at %s", typ, g.Sockets(), g.Address())
			}
			checkFlags(t, g.Sockets()[0].FD)
			st, err := os.Lstat(file)
			if err != nil || uint32(st.Mode().Perm()) != mode {
				t.Errorf("%s: mode %v (%v), want %#o", typ, st.Mode(), err, mode)
			}
			if err := probe(linux{}, file, unixTypes[typ]); err != nil {
				t.Errorf("%s: connect: %v", typ, err)
			}
			g.Close()
			if _, err := os.Lstat(file); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("%s: the file is left after Close: %v", typ, err)
			}
		}
	}
}

// wide watches the mode that the file has before anybody corrects it.
type wide struct {
	linux
	t    *testing.T
	file string
	mode uint32
}

func (w wide) bind(fd int, sa unix.Sockaddr) error {
	err := w.linux.bind(fd, sa)
	if st, serr := os.Lstat(w.file); serr != nil || uint32(st.Mode().Perm())&^w.mode != 0 {
		w.t.Errorf("right after bind: %v %v, want at most %#o", st, serr, w.mode)
	}
	return err
}

func TestModeIsNeverWider(t *testing.T) {
	old := unix.Umask(0)
	defer unix.Umask(old)
	file := filepath.Join(t.TempDir(), "s")
	g, err := bindUnix(wide{linux{}, t, file, 0o600}, file, 0o600, "stream", 0)
	if err != nil {
		t.Fatal(err)
	}
	g.Close()
}

func TestLivePathIsRefusedDeadOneReplaced(t *testing.T) {
	for _, first := range socketTypes {
		for _, second := range socketTypes {
			file := filepath.Join(t.TempDir(), "s")
			live := openUnix(t, file, 0o600, first)
			before := openDescriptors(t)
			_, err := BindUnixSocket(file, 0o600, second, 0)
			if err == nil || !strings.Contains(err.Error(), file+" is in use by another process; stop it or change endpoint") ||
				!errors.Is(err, unix.EADDRINUSE) {
				t.Errorf("%s over a live %s: %v", second, first, err)
			}
			if after := openDescriptors(t); after != before {
				t.Errorf("%d descriptors left", after-before)
			}
			if err := probe(linux{}, file, unixTypes[first]); err != nil {
				t.Errorf("the live %s was hurt: %v", first, err)
			}
			live.file = nil // as if its process had been killed: the file stays
			live.Close()
			openUnix(t, file, 0o600, second)
		}
	}
}

func TestFullBacklogIsAlive(t *testing.T) {
	file := filepath.Join(t.TempDir(), "s")
	g, err := BindUnixSocket(file, 0o600, "stream", 1)
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	for { // fill the accept queue
		fd, err := linux{}.socket(unix.AF_UNIX, unix.SOCK_STREAM, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer unix.Close(fd)
		if err = unix.Connect(fd, &unix.SockaddrUnix{Name: file}); err == unix.EAGAIN {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
	if _, err := BindUnixSocket(file, 0o600, "stream", 0); !errors.Is(err, unix.EADDRINUSE) {
		t.Fatalf("got %v", err)
	}
}

func TestForeignFilesStay(t *testing.T) {
	dir := t.TempDir()
	target := filepath.Join(dir, "target")
	if err := os.WriteFile(target, []byte("keep"), 0o600); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(dir, "link")
	if err := os.Symlink(target, link); err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{target, link, dir} {
		if _, err := BindUnixSocket(file, 0o600, "stream", 0); err == nil || !strings.Contains(err.Error(), "not a socket") {
			t.Errorf("%s: %v", file, err)
		}
	}
	if b, err := os.ReadFile(target); err != nil || string(b) != "keep" {
		t.Errorf("the file is hurt: %q %v", b, err)
	}
}

func TestCloseLeavesASuccessorsFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "s")
	g := openUnix(t, file, 0o600, "stream")
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	other, err := net.Listen("unix", file)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	g.Close()
	if _, err := os.Lstat(file); err != nil {
		t.Fatalf("the other's file is gone: %v", err)
	}
}

func TestBindUnixSocketRefuses(t *testing.T) {
	dir := t.TempDir()
	for _, c := range []struct {
		file, typ string
		mode      uint32
		want      string
	}{
		{"relative", "stream", 0o600, "not an absolute path"},
		{"@abstract", "stream", 0o600, "not an absolute path"},
		{"", "stream", 0o600, "not an absolute path"},
		{"/" + strings.Repeat("x", 107), "stream", 0o600, "has 108 bytes; shorten endpoint to at most 107"},
		{dir + "/s", "raw", 0o600, `socket_type "raw" is unknown`},
		{dir + "/s", "stream", 0o1777, "mode 01777"},
		{dir + "/none/s", "stream", 0o600, "directory " + dir + "/none of unix socket s does not exist; create it"},
	} {
		if _, err := BindUnixSocket(c.file, c.mode, c.typ, 0); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s %s: %v, want %q", c.file, c.typ, err, c.want)
		}
	}
}
