package launch

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// leftover fails the test when a failed start left a file.
func leftover(t *testing.T, dir string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		t.Errorf("left behind: %s", e.Name())
	}
}

// TestFailedStartsExplainThemselves also looks for goroutines, files and processes
// that are left.
func TestFailedStartsExplainThemselves(t *testing.T) {
	goleak.VerifyNone(t)
	defer goleak.VerifyNone(t)
	tests := map[string]struct {
		mode  string
		is    error
		code  int // of the exit; -1 when it was killed by us or a signal
		names []string
	}{
		"prints before the handshake": {"line:hello \x1b[2Jworld", ErrHandshake, -1, []string{`"hello \x1b[2Jworld\n"`, "nothing may be printed"}},
		"prints 300 KiB in a line":    {"long-line", ErrHandshake, -1, []string{"xxxx", "not a handshake"}},
		"prints an empty line":        {"line:", ErrHandshake, -1, []string{`"\n"`}},
		"core protocol":               {"line:2|1|unix|SOCKET|grpc", ErrHandshake, -1, []string{"version 2"}},
		"plugin protocol":             {"wrong-version", ErrHandshake, -1, []string{"version 2", "this antano 1", "install a plugin for version 1, or an antano that speaks 2"}},
		"tcp":                         {"line:1|1|tcp|127.0.0.1:1|grpc", ErrHandshake, -1, []string{"tcp", "127.0.0.1:1"}},
		"socket elsewhere":            {"line:1|1|unix|/tmp/plugin1|grpc", ErrHandshake, -1, []string{"/tmp/plugin1"}},
		"net/rpc":                     {"line:1|1|unix|SOCKET|netrpc", ErrHandshake, -1, []string{"grpc"}},
		"certificate":                 {"line:1|1|unix|SOCKET|grpc|" + strings.Repeat("A", 60), ErrHandshake, -1, []string{"TLS"}},
		"wrong cookie":                {"wrong-cookie", ErrExited, 1, []string{"exited with code 1", "This binary is a plugin"}},
		"exits 0 at once":             {"exit:0", ErrExited, 0, []string{"exited with code 0", "first line | settings.port: must be"}},
		"exits 78":                    {"exit:78", ErrExited, 78, []string{"exited with code 78", "must be [31m a number"}},
		"closes stdout":               {"close-stdout", ErrHandshake, -1, []string{"closed stdout"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			s := spec(t, tt.mode)
			begin := time.Now()
			_, err := Start(context.Background(), s)
			var e *Error
			if !errors.As(err, &e) || !errors.Is(err, tt.is) {
				t.Fatalf("got %v, want an *Error that is %v", err, tt.is)
			}
			for _, want := range append(tt.names, s.Path) {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q does not say %q", err, want)
				}
			}
			if strings.ContainsAny(err.Error(), "\x1b\n") {
				t.Errorf("%q can act on a terminal", err)
			}
			if e.Exit == nil || e.Exit.Code != tt.code {
				t.Errorf("exit is %+v, want code %d", e.Exit, tt.code)
			}
			if took := time.Since(begin); took > 5*time.Second {
				t.Errorf("it took %v", took)
			}
			leftover(t, s.Dir)
		})
	}
}

func TestStartIsBounded(t *testing.T) {
	defer goleak.VerifyNone(t)
	s := spec(t, "silent")
	s.StartTimeout = 300 * time.Millisecond
	_, err := Start(context.Background(), s)
	if !errors.Is(err, ErrTimeout) || !strings.Contains(err.Error(), "300ms") {
		t.Errorf("got %v, want a timeout that names 300ms", err)
	}
	leftover(t, s.Dir)

	s.StartTimeout = time.Minute
	ctx, cancel := context.WithCancel(context.Background())
	time.AfterFunc(50*time.Millisecond, cancel)
	begin := time.Now()
	if _, err = Start(ctx, s); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want canceled", err)
	}
	if took := time.Since(begin); took > 5*time.Second {
		t.Errorf("it took %v to give up", took)
	}
	if _, err = Start(ctx, s); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want canceled before the fork", err)
	}
	leftover(t, s.Dir)
}

// TestCrashDuringHandshakeLeaksNothing: go-plugin forgets a connection then.
func TestCrashDuringHandshakeLeaksNothing(t *testing.T) {
	defer goleak.VerifyNone(t)
	for range 20 {
		s := spec(t, "crash-after-line")
		p, err := Start(context.Background(), s)
		if err == nil {
			if _, err = p.Describe(context.Background()); !errors.Is(err, ErrExited) {
				t.Errorf("describe said %v", err)
			}
			if err := p.Close(); err != nil {
				t.Error(err)
			}
		} else if !errors.Is(err, ErrExited) {
			t.Errorf("start said %v", err)
		}
		leftover(t, s.Dir)
	}
}

func TestFilesThatCannotBeExecuted(t *testing.T) {
	defer goleak.VerifyNone(t)
	dir := t.TempDir()
	write := func(name, content string, mode os.FileMode) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	alien := "\x7fELF\x02\x01\x01" + strings.Repeat("\x00", 9) + "\x02\x00\xb7\x00\x01\x00\x00\x00" + strings.Repeat("\x00", 40)
	if isARM64 {
		alien = strings.Replace(alien, "\xb7", "\x3e", 1)
	}
	tests := map[string]struct {
		path  string
		names []string
	}{
		"missing":             {filepath.Join(dir, "none"), []string{"no such file"}},
		"directory":           {dir, []string{"is a directory"}},
		"not executable":      {write("plain", "x", 0o644), []string{"not executable", "0644", "owner", "chmod"}},
		"text":                {write("text", "hello", 0o755), []string{"neither an ELF executable nor a script"}},
		"empty":               {write("empty", "", 0o755), []string{"neither"}},
		"another machine":     {write("alien", alien, 0o755), []string{"EM_", "this machine is linux/"}},
		"missing interpreter": {write("script", "#!/no/such/interpreter\n", 0o755), []string{"interpreter"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			s := spec(t, "")
			s.Path = tt.path
			_, err := Start(context.Background(), s)
			if err == nil {
				t.Fatal("it was started")
			}
			for _, want := range append(tt.names, tt.path) {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q does not say %q", err, want)
				}
			}
			leftover(t, s.Dir)
		})
	}
}

func TestSpecIsCheckedFirst(t *testing.T) {
	long := spec(t, "")
	long.Dir = "/" + strings.Repeat("d", MaxDir)
	relative := spec(t, "")
	relative.Dir = "run"
	name := spec(t, "")
	name.Files = []File{{Name: "a:b", FD: 0}}
	closed := spec(t, "")
	closed.Files = []File{{Name: "tcp", FD: 1 << 20}}
	for want, s := range map[string]Spec{
		"no path": {}, "runtime-dir": long, "not absolute": relative, "LISTEN_FDNAMES": name, "descriptor": closed,
	} {
		if _, err := Start(context.Background(), s); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want it to say %q", err, want)
		}
	}
	if n := MaxDir + len("/plugin4294967295"); n != 107 {
		t.Errorf("the longest socket path has %d bytes", n)
	}
}
