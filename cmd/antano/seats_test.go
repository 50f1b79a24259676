package main_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// caller is a client that has a handler note numbers, one after another.
type caller struct {
	*client
	id   string
	next int
	lost int // answers that are process_lost, or that there was no process
}

// ahead is how many calls of a caller are open at once.
const ahead = 8

// call has the handler make calls until enough says so, and waits for all answers. A call takes ms.
func (c *caller) call(ms int, enough func(asked int) bool) error {
	open := 0
	for asked := 0; ; asked++ {
		done := enough(asked)
		for open > 0 && (done || open >= ahead) {
			switch o := c.receive(); {
			case o["type"] == "receipt":
			case o["code"] == "process_lost", o["code"] == "no_such_process":
				c.lost++
			default:
				return fmt.Errorf("client %s: got %v", c.id, o)
			}
			open--
		}
		if done {
			return nil
		}
		c.next++
		open++
		c.send(fmt.Sprintf(`{"entity":"service","entity_id":9,"message":{"do":"note","n":%d,"ms":%d},"id":%d}`, c.next, ms, c.next))
	}
}

// notes reads what the handlers noted, by client: numbers and processes.
func notes(t *testing.T, file string) (numbers, processes map[string][]int) {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	numbers, processes = map[string][]int{}, map[string][]int{}
	for line := range strings.Lines(string(b)) {
		var id string
		var n, process int
		if _, err := fmt.Sscan(line, &id, &n, &process); err != nil {
			t.Fatalf("note %q: %v", line, err)
		}
		numbers[id], processes[id] = append(numbers[id], n), append(processes[id], process)
	}
	return numbers, processes
}

// TestHandlerOrderOverScaling has clients call a handler all the time while its service
// is scaled from 2 to 5 processes and back, one of them is killed and one is replaced. Each
// client's calls are made in order, and by the same process while that is ready.
func TestHandlerOrderOverScaling(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "notes")
	s := start(t, fmt.Sprintf(`
service_type: [{name: probe}]
active_service:
  - {id: 1, service_type: tcp, name: tcp, host: 127.0.0.1, port: 0, processes: 2}
  - {id: 9, service_type: probe, name: probe, processes: 2, settings: {file: %q}}
`, file), pluginDirs(t, "probe")...)
	callers := make([]*caller, 8)
	for i := range callers {
		callers[i] = &caller{client: dial(t, "tcp", s.service("tcp").Address)}
		callers[i].id = callers[i].whoami()
	}
	during := func(what func()) {
		var running sync.WaitGroup
		over := make(chan struct{})
		for _, c := range callers {
			running.Go(func() {
				err := c.call(1, func(asked int) bool {
					select {
					case <-over:
						return asked > 2*ahead
					default:
						return false
					}
				})
				if err != nil {
					t.Error(err)
				}
			})
		}
		what()
		close(over)
		running.Wait()
	}
	command := func(args ...string) func() {
		return func() {
			if out, errs, code := s.antano(args...); code != 0 {
				t.Errorf("antano %v: exit %d\n%s%s", args, code, out, errs)
			}
		}
	}
	who := func() map[string]int {
		at := map[string]int{}
		_, processes := notes(t, file)
		for id, all := range processes {
			at[id] = all[len(all)-1]
		}
		return at
	}
	same := func(what string, before, after map[string]int, gone int) {
		for id := range before {
			if before[id] != gone && before[id] != after[id] {
				t.Errorf("%s: client %s went from process %d to %d", what, id, before[id], after[id])
			}
		}
	}

	during(func() {})
	at := who()
	during(command("scale", "probe=5"))
	during(func() {})
	now := who()
	same("scaled to 5", at, now, 0)
	victim := s.service("probe").Processes[0]
	during(func() {
		if err := syscall.Kill(victim.PID, syscall.SIGKILL); err != nil {
			t.Error(err)
		}
	})
	eventually(t, "the killed process is back", func() bool {
		p := s.service("probe").Processes[0]
		return p.State == "ready" && p.Generation == victim.Generation+1
	})
	at, now = now, who()
	same("one killed", at, now, victim.ProcessID)
	lost := 0
	for _, c := range callers {
		lost += c.lost
	}
	during(command("restart", "probe/4"))
	at, now = now, who()
	same("restarted", at, now, 0)
	during(command("scale", "probe=2"))
	numbers, _ := notes(t, file)
	noted, asked, later := 0, 0, -lost
	for _, c := range callers {
		last := 0
		for _, n := range numbers[c.id] {
			if n <= last {
				t.Errorf("client %s: call %d was made after %d", c.id, n, last)
			}
			last = n
		}
		noted, asked, later = noted+len(numbers[c.id]), asked+c.next, later+c.lost
	}
	if noted < asked-lost || later != 0 {
		t.Errorf("%d of %d calls were made, %d lost with a process, %d later", noted, asked, lost, later)
	}
}

// TestHandlerKeepsItsClientsOverManagers scales a handler, so that its clients are not where
// a new manager would put them, and then kills the manager and upgrades its successor.
func TestHandlerKeepsItsClientsOverManagers(t *testing.T) {
	t.Parallel()
	dirs := pluginDirs(t, "probe")
	s := start(t, withHandlers, dirs...)
	var clients []*client
	for range 12 {
		clients = append(clients, dial(t, "tcp", s.service("tcp").Address))
	}
	who := func() (at []string) {
		for _, c := range clients {
			m := c.ask(`{"entity":"service","entity_id":9,"message":{"do":"who"}}`)["message"].(map[string]any)
			at = append(at, fmt.Sprint(m["process_id"]))
		}
		return at
	}
	before := who()
	s.must("scale", "probe=8")
	s.kill()
	next := s.successor(dirs...)
	next.start()
	if after := who(); !slices.Equal(before, after) {
		t.Errorf("the manager was killed: processes %v, were %v", after, before)
	}
	next.must("upgrade")
	if after := who(); !slices.Equal(before, after) {
		t.Errorf("the manager was upgraded: processes %v, were %v", after, before)
	}
}
