package launch

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/antano/antano/shared"
)

func TestWhatAPluginSees(t *testing.T) {
	t.Setenv("SECRET_OF_THE_HOST", "1")
	t.Setenv("LC_TEST", "x")
	s := spec(t, "report")
	file, err := os.Open(s.Path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	s.Binary = file
	s.Files = []File{{Name: "tcp", FD: 0}, {Name: "share", FD: 0}}
	p := start(t, s)
	d, err := p.Describe(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var saw struct{ Env, Argv string }
	if err := json.Unmarshal(d.Settings, &saw); err != nil {
		t.Fatal(err)
	}
	if saw.Argv != s.Path {
		t.Errorf("argv[0] is %q", saw.Argv)
	}
	env := strings.Split(saw.Env, "\n")
	has := func(kv string) bool {
		n := 0
		for _, e := range env {
			if e == kv {
				n++
			}
		}
		return n == 1
	}
	for _, kv := range []string{"LISTEN_FDS=2", "LISTEN_FDNAMES=tcp:share", socketDirKey + "=" + s.Dir, "LC_TEST=x", shared.CookieKey + "=" + shared.CookieValue} {
		if !has(kv) {
			t.Errorf("the environment has no %s: %q", kv, env)
		}
	}
	if strings.Contains(saw.Env, "SECRET_OF_THE_HOST") || strings.Contains(saw.Env, "LISTEN_PID") {
		t.Errorf("the environment has too much: %q", env)
	}
	if exe, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", p.PID())); err != nil || exe != s.Path {
		t.Errorf("/proc/pid/exe is %q, %v", exe, err)
	}
	comm, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", p.PID()))
	if want := filepath.Base(s.Path); err != nil || !strings.HasPrefix(want, strings.TrimSpace(string(comm))) {
		t.Errorf("ps shows %q, %v", comm, err)
	}
	if stdin, err := os.Readlink(fmt.Sprintf("/proc/%d/fd/0", p.PID())); err != nil || stdin != os.DevNull {
		t.Errorf("stdin is %q, %v", stdin, err)
	}
	if group, err := syscall.Getpgid(p.PID()); err != nil || group != p.PID() {
		t.Errorf("process group %d, %v", group, err)
	}
}

// TestSocketsStayNonBlocking: a launch must not clear the flag that all processes
// share.
func TestSocketsStayNonBlocking(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	raw, err := l.(*net.TCPListener).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var fd int
	raw.Control(func(n uintptr) { fd, err = unix.FcntlInt(n, unix.F_DUPFD_CLOEXEC, 3) })
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	nonBlocking := func(pid int) bool {
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/fdinfo/3", pid))
		if err != nil {
			t.Fatal(err)
		}
		var flags int
		for line := range strings.Lines(string(b)) {
			fmt.Sscanf(line, "flags: %o", &flags)
		}
		return flags&unix.O_NONBLOCK != 0
	}
	withSocket := func() Spec {
		s := spec(t, "good")
		s.Files = []File{{Name: "tcp", FD: fd}}
		return s
	}
	first := start(t, withSocket())
	if !nonBlocking(first.PID()) {
		t.Fatal("the socket arrived as a blocking one")
	}
	if err := start(t, withSocket()).Close(); err != nil {
		t.Fatal(err)
	}
	start(t, withSocket())
	if !nonBlocking(first.PID()) {
		t.Error("a sibling's restart made the socket blocking")
	}
}
