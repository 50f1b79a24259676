package manager

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// change rewrites the params of a running server and reloads them.
func (r *running) change(params string) error {
	r.t.Helper()
	if err := os.WriteFile(r.cfg.Params, []byte(params), 0o600); err != nil {
		r.t.Fatal(err)
	}
	return r.reloads()
}

// reloads returns the error of a reload.
func (r *running) reloads() error {
	r.t.Helper()
	op, err := r.beginReload(false)
	if err != nil {
		return err
	}
	var last Progress
	for w := op.watch(); ; {
		records, err := w.Next(r.t.Context())
		if err != nil {
			r.t.Fatal(err)
		}
		if len(records) == 0 {
			break
		}
		last = records[len(records)-1].(Progress)
	}
	if last.Done {
		return nil
	}
	return errors.New(last.Error)
}

// TestStepsOfAReload has each step fail in turn: what ran runs on, and no socket,
// descriptor, directory or process is left of what was begun.
func TestStepsOfAReload(t *testing.T) {
	dir := home(t, "tcp", "unix")
	misfit(t, dir, "exit")
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	const base = `
service_type: [{id: 101, name: exit}]
active_service:
  - {id: 1, service_type: tcp, name: first, host: 127.0.0.1, port: 0, processes: 1}
  - {id: 2, service_type: tcp, name: second, host: 127.0.0.1, port: 0, processes: 1}
`
	s, err := load(t, dir, base)
	if err != nil {
		t.Fatal(err)
	}
	r := run(t, s)
	r.awaitReady()
	picture := func() []string {
		var all []string
		for _, svc := range r.Status().Services {
			for _, p := range svc.Processes {
				all = append(all, fmt.Sprint(svc.Name, " ", svc.Address, " ", p.ProcessID, " ", p.PID, " ", p.State))
			}
		}
		left, _ := filepath.Glob(filepath.Join(dir, "run", "*"))
		written := func(path string) bool { return strings.HasSuffix(path, "/state.json.next") } // just now
		return append(all, slices.DeleteFunc(left, written)...)
	}
	first := r.Status().Services[0].Address
	_, port, _ := net.SplitHostPort(first)
	before, open := picture(), descriptors(t)
	inUse := taken.Addr().(*net.TCPAddr).Port
	for name, c := range map[string]struct{ params, says string }{
		"the second address": {base + fmt.Sprintf(`
  - {id: 3, service_type: unix, name: third, socket_type: stream, endpoint: third.sock}
  - {id: 4, service_type: tcp, name: fourth, host: 127.0.0.1, port: %d}`, inUse), "in use"},
		"an address to move to": {strings.Replace(base, "port: 0", fmt.Sprint("port: ", inUse), 1), "in use"},
		"no plugin":             {base + "  - {id: 5, service_type: rest, name: fifth, port: 1, endpoint: /x}\n", "antano-service-rest"},
	} {
		if err := r.change(c.params); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want %q", name, err, c.says)
		}
		if now := picture(); !slices.Equal(now, before) {
			t.Errorf("%s: it was\n%q\nand is\n%q", name, before, now)
		}
	}
	// A process of an even id ends at its start: 4 of the new service, as 1 and 2 are
	// taken and 3 is the first of it that would be ready.
	if err := r.change("restart: {limit: 1}\n" + base + "  - {id: 6, service_type: exit, name: sixth, processes: 1}\n"); err != nil {
		t.Errorf("a service with process 3: %v", err)
	}
	if err := r.change("restart: {limit: 1}\n" + base + "  - {id: 7, service_type: exit, name: seventh, processes: 1}\n"); err == nil || !strings.Contains(err.Error(), "did not become ready") {
		t.Errorf("a service with process 4: %v", err)
	}
	if svc := r.service(7); svc != nil {
		t.Error("the service that did not become ready is left")
	}
	if err := r.change(base); err != nil {
		t.Errorf("back to the beginning: %v", err)
	}
	if now := picture(); !slices.Equal(now, before) {
		t.Errorf("back to the beginning it is\n%q\nand was\n%q", now, before)
	}
	if now := descriptors(t); len(now) != len(open) {
		t.Errorf("open before:\n%q\nafter:\n%q", open, now)
	}
	// The first service gives its address to another.
	gone := strings.Replace(base, "  - {id: 1, service_type: tcp, name: first, host: 127.0.0.1, port: 0, processes: 1}\n",
		fmt.Sprintf("  - {id: 8, service_type: tcp, name: eighth, host: 127.0.0.1, port: %s, processes: 1}\n", port), 1)
	if err := r.change(gone); err != nil {
		t.Errorf("an address taken over: %v", err)
	}
	conn, err := net.Dial("tcp", first)
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
	r.stop()
	if err := r.awaitEnd(); err != nil {
		t.Error(err)
	}
}
