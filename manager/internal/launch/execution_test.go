package launch

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// nobody is a user without an entry and without rights.
var nobody = &User{UID: 4294960001, GID: 4294960002, Groups: []uint32{4294960003}}

// asNobody gives a spec what another user can use: a binary outside of directories that
// are root's alone, and Dir.
func asNobody(t *testing.T, s *Spec) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root can start processes of other users")
	}
	file, err := os.Open(s.Path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { file.Close() })
	s.Binary = file // its path need not be reachable
	if err := os.Chown(s.Dir, int(nobody.UID), int(nobody.GID)); err != nil {
		t.Fatal(err)
	}
	s.Execution.As = nobody
}

// report is what a plugin says about itself.
type report struct{ Env, Dir, Status, Limits string }

func reportOf(t *testing.T, p *Process) (r report) {
	t.Helper()
	d, err := p.Describe(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(d.Settings, &r); err != nil {
		t.Fatal(err)
	}
	return r
}

func (r report) want(t *testing.T, text, pattern string) {
	t.Helper()
	if !regexp.MustCompile("(?m)^" + pattern).MatchString(text) {
		t.Errorf("%q is not in:\n%s", pattern, text)
	}
}

// TestExecution starts plugins with every setting, with the helper and without.
func TestExecution(t *testing.T) {
	mask := uint32(0o27)
	for name, change := range map[string]func(*Execution){
		"direct": func(*Execution) {},
		"helper": func(e *Execution) {
			e.Umask = &mask
			e.Rlimits = map[string]Rlimit{"nofile": {100, 200}, "core": {0, 0}, "fsize": {1 << 20, unix.RLIM_INFINITY}}
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := spec(t, "report")
			asNobody(t, &s)
			s.Env = append(s.Env, "HOME=/nowhere", "TOPIC=a b", "TOPIC=c")
			s.Execution.WorkingDir, s.Execution.NoNewPrivs = "/usr", true
			change(&s.Execution)
			p := start(t, s)
			r := reportOf(t, p)
			r.want(t, r.Status, fmt.Sprintf(`Uid:\t%d\t%[1]d\t%[1]d\t%[1]d$`, nobody.UID))
			r.want(t, r.Status, fmt.Sprintf(`Gid:\t%d\t%[1]d\t%[1]d\t%[1]d$`, nobody.GID))
			r.want(t, r.Status, `Groups:\t4294960003 $`)
			r.want(t, r.Status, `NoNewPrivs:\t1$`)
			r.want(t, r.Env, "HOME=/nowhere$")
			r.want(t, r.Env, "TOPIC=c$")
			if r.Dir != "/usr" || strings.Count(r.Env, "HOME=") != 1 || strings.Count(r.Env, "TOPIC=") != 1 {
				t.Errorf("it runs in %s with %s", r.Dir, r.Env)
			}
			if name == "helper" {
				r.want(t, r.Status, `Umask:\t0027$`)
				r.want(t, r.Limits, `Max open files +\d+ +200 `)
				r.want(t, r.Limits, `Max core file size +0 +0 `)
				r.want(t, r.Limits, `Max file size +1048576 +unlimited `)
			}
			if p.UID() != int(nobody.UID) {
				t.Errorf("it runs as %d", p.UID())
			}
			open, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", p.PID()))
			if err != nil {
				t.Fatal(err)
			}
			for _, fd := range open {
				to, _ := os.Readlink(filepath.Join("/proc", fmt.Sprint(p.PID()), "fd", fd.Name()))
				if to == s.Path {
					t.Errorf("descriptor %s is the plugin's own file", fd.Name())
				}
			}
		})
	}
}

// TestPrivilegesOfOthers: no_new_privs of one plugin is not that of the manager, nor of
// the next plugin.
func TestPrivilegesOfOthers(t *testing.T) {
	for _, want := range []bool{true, false} {
		s := spec(t, "report")
		s.Execution.NoNewPrivs = want
		r := reportOf(t, start(t, s))
		r.want(t, r.Status, fmt.Sprintf(`NoNewPrivs:\t%d$`, map[bool]int{true: 1}[want]))
	}
	if n, err := unix.PrctlRetInt(unix.PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0); err != nil || n != 0 {
		t.Errorf("a thread of ours has no_new_privs: %d, %v", n, err)
	}
}

// TestExecutionThatFails leaves nothing and says what to change.
func TestExecutionThatFails(t *testing.T) {
	mask := uint32(0o22)
	for name, c := range map[string]struct {
		change func(*Spec)
		want   string
	}{
		"directory":          {func(s *Spec) { s.Execution.WorkingDir = "/nowhere" }, "working_dir"},
		"directory, helper":  {func(s *Spec) { s.Execution.WorkingDir, s.Execution.Umask = "/nowhere", &mask }, "working_dir"},
		"limit":              {func(s *Spec) { s.Execution.Rlimits = map[string]Rlimit{"nofile": {2, 1}} }, "rlimit nofile to 2:1"},
		"unknown limit":      {func(s *Spec) { s.Execution.Rlimits = map[string]Rlimit{"files": {}} }, `"files" is not known`},
		"unreadable":         {func(s *Spec) { s.Path = privatePlugin(t); asNobody(t, s) }, "uid 4294960001 may not execute"},
		"unreadable, helper": {func(s *Spec) { s.Path = privatePlugin(t); asNobody(t, s); s.Execution.Umask = &mask }, "uid 4294960001 may not execute"},
		"no executable":      {func(s *Spec) { s.Path, s.Execution.Umask = textFile(t), &mask }, "neither an ELF executable nor a script"},
	} {
		t.Run(name, func(t *testing.T) {
			s := spec(t, "good")
			c.change(&s)
			_, err := Start(t.Context(), s)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("got %v, want %s", err, c.want)
			}
			if left, err := os.ReadDir(s.Dir); err != nil || len(left) > 0 {
				t.Errorf("left in its directory: %v, %v", left, err)
			}
			if _, err := unix.Wait4(-1, nil, unix.WNOHANG, nil); !errors.Is(err, unix.ECHILD) {
				t.Errorf("a child is left: %v", err)
			}
		})
	}
}

// privatePlugin is a copy of the test binary that only its owner can execute.
func privatePlugin(t *testing.T) string {
	t.Helper()
	self, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	return write(t, self, 0o700)
}

func textFile(t *testing.T) string { return write(t, []byte("hello\n"), 0o755) }

func write(t *testing.T, content []byte, mode os.FileMode) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "plugin-file")
	if err := os.WriteFile(path, content, mode); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestAttachToAnotherUser proves a process by the user that it has.
func TestAttachToAnotherUser(t *testing.T) {
	s := spec(t, "good")
	asNobody(t, &s)
	p := start(t, s)
	again, err := Attach(Running{Path: s.Path, Dir: s.Dir, Socket: p.Socket(), PID: p.PID(), StartTime: p.StartTime(), StartedAt: p.StartedAt()})
	if err != nil {
		t.Fatal(err)
	}
	if again.UID() != int(nobody.UID) {
		t.Errorf("it runs as %d", again.UID())
	}
	if _, err := again.Describe(t.Context()); err != nil {
		t.Error(err)
	}
	again.conns.close()
}
