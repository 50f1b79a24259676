package main_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/antano/antano/internal/testserver"
)

// bench prepares `antano bench` in a directory of its own for temporary files.
func bench(t *testing.T, args ...string) (cmd *exec.Cmd, stdout, stderr *lockedBuffer, dir string) {
	t.Helper()
	dir, err := os.MkdirTemp("", "ab")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	cmd = exec.Command(filepath.Join(binDir, "antano"), append([]string{"bench"}, args...)...)
	cmd.Env = append(os.Environ(), "TMPDIR="+dir)
	stdout, stderr = &lockedBuffer{}, &lockedBuffer{}
	cmd.Stdout, cmd.Stderr = stdout, stderr
	return cmd, stdout, stderr, dir
}

// benchDocument is what docs/operating.md says of the JSON.
type benchDocument struct {
	Version   string    `json:"version"`
	Began     time.Time `json:"began"`
	TookS     float64   `json:"took_s"`
	Rounds    int       `json:"rounds"`
	DurationS float64   `json:"duration_s"`
	Machine   struct {
		CPUs   int    `json:"cpus"`
		OS     string `json:"os"`
		Arch   string `json:"arch"`
		Kernel string `json:"kernel"`
		Go     string `json:"go"`
	} `json:"machine"`
	Rows []struct {
		Work   string    `json:"work"`
		Figure string    `json:"figure"`
		Unit   string    `json:"unit"`
		Values []float64 `json:"values"`
		Median float64   `json:"median"`
		Min    float64   `json:"min"`
		Max    float64   `json:"max"`
	} `json:"rows"`
	Skipped []struct {
		Work string `json:"work"`
		Size string `json:"size"`
		Why  string `json:"why"`
	} `json:"skipped"`
}

// TestBench does every work as small as can be, and finds figures of each.
func TestBench(t *testing.T) {
	t.Parallel()
	args := []string{"--json", "--rounds", "1", "--duration", "5ms"}
	for _, size := range []string{"relay=16", "pairs=4", "deliver=128", "fanout=3", "ping=2", "convert=128", "idle=10", "groups=10", "start=1", "kill=1", "restart=1", "memory=1", "overload=128"} {
		args = append(args, "--sizes", size)
	}
	cmd, stdout, stderr, dir := bench(t, args...)
	if err := cmd.Run(); err != nil {
		t.Fatalf("%v\n%s", err, stderr)
	}
	var d benchDocument
	strictly(t, stdout.String(), &d)
	measured := map[string]bool{}
	for _, r := range d.Rows {
		measured[r.Work] = true
		if len(r.Values) != 1 || r.Median != r.Values[0] || strings.HasSuffix(r.Unit, "/s") && r.Median <= 0 {
			t.Errorf("%s, %s: %v %s", r.Work, r.Figure, r.Values, r.Unit)
		}
	}
	if len(measured) != 13 || len(d.Skipped) > 0 || d.Machine.CPUs < 1 || d.Rounds != 1 || d.DurationS != 0.005 {
		t.Errorf("measured %v in %+v", measured, d)
	}
	if !strings.Contains(stderr.String(), "0/13 relay 16\n") || !strings.Contains(stderr.String(), "13/13 done\n") {
		t.Errorf("the progress is %s", stderr)
	}
	if left, _ := os.ReadDir(dir); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}

// TestBenchInterrupted ends a bench in the middle, gently and with SIGKILL.
func TestBenchInterrupted(t *testing.T) {
	t.Parallel()
	for _, sig := range []syscall.Signal{syscall.SIGINT, syscall.SIGKILL} {
		cmd, stdout, stderr, dir := bench(t, "--works", "ping", "--duration", "1h")
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		pids := benchPIDs(t, dir)
		if err := cmd.Process.Signal(sig); err != nil {
			t.Fatal(err)
		}
		err := cmd.Wait()
		eventually(t, "the processes of the server are gone", func() bool { return !slices.ContainsFunc(pids, alive) })
		if sig == syscall.SIGKILL {
			continue
		}
		if code := cmd.ProcessState.ExitCode(); code != 1 || stdout.String() != "" || !strings.Contains(stderr.String(), "interrupted") {
			t.Errorf("exit %d, %v: %s%s", code, err, stdout, stderr)
		}
		if left, _ := os.ReadDir(dir); len(left) > 0 {
			t.Errorf("left: %v", left)
		}
	}
}

// benchPIDs waits until the server of a bench has clients and returns its processes.
func benchPIDs(t *testing.T, dir string) (pids []int) {
	t.Helper()
	eventually(t, "the bench has a server with clients", func() bool {
		found, _ := filepath.Glob(filepath.Join(dir, "*", "run"))
		if len(found) == 0 {
			return false
		}
		s := testserver.Server{Dir: filepath.Dir(found[0])}
		st, err := s.Status()
		if err != nil {
			return false
		}
		pids = []int{st.PID}
		clients := uint64(0)
		for _, svc := range st.Services {
			for _, p := range svc.Processes {
				pids, clients = append(pids, p.PID), clients+p.Clients
			}
		}
		return clients > 0
	})
	return pids
}

func TestBenchUsage(t *testing.T) {
	t.Parallel()
	for want, args := range map[string][]string{
		`there is no work "nope"; the works are relay, pairs,`: {"--works", "nope"},
		`there is no work "nope" to give sizes to`:             {"--sizes", "nope=1"},
		`"x", which is no number from 1 to 10000000`:           {"--sizes", "ping=1,x"},
		`"ping" and not WORK=N,N,…`:                            {"--sizes", "ping"},
		`--rounds is 0`:                                        {"--rounds", "0"},
		`--duration is 2h0m0s; it must be from 1ms to 1h`:      {"--duration", "2h"},
		`antano bench takes no argument, not "ping"`:           {"ping"},
	} {
		_, stderr, code := antano(t, "", append([]string{"bench"}, args...)...)
		if code != 2 || !strings.Contains(stderr, want) {
			t.Errorf("%v: exit %d: %s", args, code, stderr)
		}
	}
}

// TestBenchWithoutPlugins is about a directory that has none.
func TestBenchWithoutPlugins(t *testing.T) {
	t.Parallel()
	_, stderr, code := antano(t, "", "bench", "--works", "ping", "--plugin-dir", t.TempDir())
	if code != 78 || !strings.Contains(stderr, "antano: ping 1: configuration: antano ended before it was ready: exit status 78") {
		t.Errorf("exit %d: %s", code, stderr)
	}
}

// TestBenchIsDocumented compares the works with the table of docs/operating.md.
func TestBenchIsDocumented(t *testing.T) {
	t.Parallel()
	list, stderr, code := antano(t, "", "bench", "--list")
	if code != 0 {
		t.Fatal(stderr)
	}
	table := blocks(t, "operating.md", `\| Work \| Sizes \| Measures \|\n[^\n]*\n(.*?)\n\n`)[0][1]
	var documented bytes.Buffer
	for row := range strings.Lines(table) {
		cells := strings.Split(strings.ReplaceAll(row, "`", ""), "|")
		fmt.Fprintln(&documented, strings.Join(strings.Fields(strings.Join(cells[1:4], " ")), " "))
	}
	_, rows, _ := strings.Cut(list, "\n")
	var real bytes.Buffer
	for row := range strings.Lines(rows) {
		fmt.Fprintln(&real, strings.Join(strings.Fields(row), " "))
	}
	if documented.String() != real.String() {
		t.Errorf("docs/operating.md says\n%s\nit is\n%s", &documented, &real)
	}
}
