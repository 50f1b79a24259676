package manager

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/antano/antano/manager/internal/runtimedir"
	"github.com/antano/antano/shared"
)

// descriptors lists what the test has open, but for files of the tests themselves and
// what is open for a moment whenever the state is written.
func descriptors(t *testing.T) (open []string) {
	t.Helper()
	links, err := filepath.Glob("/proc/self/fd/*")
	if err != nil {
		t.Fatal(err)
	}
	for _, link := range links {
		to, err := os.Readlink(link)
		momentary := strings.HasPrefix(to, "/proc/") || strings.Contains(to, "/state.json")
		if err == nil && !strings.HasPrefix(to, "anon_inode:") && !momentary {
			open = append(open, to)
		}
	}
	slices.Sort(open)
	return open
}

// TestStepsOfAStart has each step fail in turn: the error says which, no process was
// started for it, and neither sockets, descriptors nor directories are left.
func TestStepsOfAStart(t *testing.T) {
	dir := home(t, "tcp", "udp", "unix")
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	text := `
active_service:
  - {id: 1, service_type: udp, name: first, host: 127.0.0.1, port: 0}
  - {id: 2, service_type: unix, name: second, endpoint: ` + filepath.Join(dir, "second.sock") + `}
  - {id: 3, service_type: tcp, name: third, host: 127.0.0.1, port: %s}
`
	_, port, _ := net.SplitHostPort(taken.Addr().String())
	run := filepath.Join(dir, "run")
	occupy := func(name string) func(*testing.T, *Server) {
		return func(t *testing.T, _ *Server) {
			// A directory that some antano had, in which somebody put another.
			if err := errors.Join(os.MkdirAll(filepath.Join(run, name), 0o700), os.Chmod(run, 0o700), os.WriteFile(filepath.Join(run, "lock"), nil, 0o600)); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { os.RemoveAll(run) })
		}
	}
	for _, test := range []struct {
		name, port string
		spoil      func(*testing.T, *Server)
		says       string
	}{
		{"the runtime directory is held", "0", func(t *testing.T, _ *Server) {
			d, err := runtimedir.Open(run)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { d.Close() })
		}, fmt.Sprint("pid ", os.Getpid())},
		{"the address of the third service", port, nil, "in use"},
		{"the plugin changed", "0", func(t *testing.T, s *Server) { s.plan.Services[2].Plugin.SHA256 = "other" }, "changed"},
		{"the plugin is gone", "0", func(t *testing.T, s *Server) { s.plan.Services[2].Plugin.Path += "-none" }, "no such file"},
		{"the relay socket", "0", occupy(runtimedir.Relay), "relay.sock"},
		{"the control socket", "0", occupy(runtimedir.Control), "control.sock"},
	} {
		t.Run(test.name, func(t *testing.T) {
			s, err := load(t, dir, fmt.Sprintf(text, test.port))
			if err != nil {
				t.Fatal(err)
			}
			if test.spoil != nil {
				test.spoil(t, s)
			}
			before := descriptors(t)
			err = s.Run(t.Context())
			if ExitCode(err) != 1 || !strings.Contains(err.Error(), test.says) {
				t.Errorf("exit %d: %v, want %q", ExitCode(err), err, test.says)
			}
			if after := descriptors(t); !slices.Equal(before, after) {
				t.Errorf("open before:\n%q\nafter:\n%q", before, after)
			}
			for _, svc := range s.services {
				for _, w := range svc.processes() {
					if g := w.process.Status().Ref.Generation; g != 0 {
						t.Errorf("process %s was started", w)
					}
				}
			}
			if _, err := os.Lstat(filepath.Join(dir, "second.sock")); err == nil {
				t.Error("the socket of the second service is left")
			}
			if left, _ := filepath.Glob(filepath.Join(run, "*.sock")); len(left) > 0 && test.spoil == nil {
				t.Errorf("%q are left", left)
			}
		})
	}
}

// TestLoadIsInterrupted is neither a mistake of the params nor of a plugin.
func TestLoadIsInterrupted(t *testing.T) {
	dir := home(t, "tcp")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := loadWith(ctx, t, dir, "active_service:\n  - {id: 1, service_type: tcp, port: 0}\n")
	if !errors.Is(err, context.Canceled) || ExitCode(err) != 1 {
		t.Errorf("exit %d: %v", ExitCode(err), err)
	}
}

// TestWrongFlags is wrong usage, whatever the params say.
func TestWrongFlags(t *testing.T) {
	for says, cfg := range map[string]Config{
		"server 0":      {ServerIDGiven: true},
		"server 256":    {ServerIDGiven: true, ServerID: 256},
		"--address":     {Address: "[::1]"},
		"--runtime-dir": {RuntimeDir: "/tmp/" + strings.Repeat("d", 90)},
	} {
		if _, err := Load(t.Context(), cfg); ExitCode(err) != 2 || !strings.Contains(err.Error(), says) {
			t.Errorf("exit %d: %v, want %q", ExitCode(err), err, says)
		}
	}
}

// TestDescribeWithLongTMPDIR finds another place for the plugin's socket.
func TestDescribeWithLongTMPDIR(t *testing.T) {
	dir := home(t, "tcp")
	long := filepath.Join(dir, strings.Repeat("d", 100))
	if err := os.Mkdir(long, 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("TMPDIR", long)
	p, err := DescribePlugin(t.Context(), []string{filepath.Join(dir, "plugins")}, "tcp")
	if err != nil || p.Description.Transport != shared.TransportTCP {
		t.Errorf("%+v, %v", p.Description, err)
	}
}

// TestCheckAddressesOfItsOwnServer excepts what the running server holds, however its
// host is written.
func TestCheckAddressesOfItsOwnServer(t *testing.T) {
	dir := home(t, "tcp")
	text := "active_service:\n  - {id: 1, service_type: tcp, host: %s, port: %s, processes: 1}\n"
	first, err := load(t, dir, fmt.Sprintf(text, "127.0.0.1", "0"))
	if err != nil {
		t.Fatal(err)
	}
	st := run(t, first).awaitReady()
	_, port, _ := net.SplitHostPort(st.Services[0].Address)
	for _, host := range []string{"127.0.0.1", "localhost", `"::ffff:127.0.0.1"`} {
		s, err := load(t, dir, fmt.Sprintf(text, host, port))
		if err != nil {
			t.Fatal(err)
		}
		if err := s.CheckAddresses(); err != nil {
			t.Errorf("%s: %v", host, err)
		}
		s.plan.RuntimeDir += "2" // somebody else's
		if err := s.CheckAddresses(); err == nil {
			t.Errorf("%s: another server's address is not in use", host)
		}
	}
}
