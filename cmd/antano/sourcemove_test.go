package main_test

import (
	"fmt"
	"syscall"
	"testing"
	"time"
)

// TestSourcesAreAdopted: the clients of a process that is down for longer are their
// siblings' meanwhile, under their ids, and go back when it is.
func TestSourcesAreAdopted(t *testing.T) {
	t.Parallel()
	s := start(t, `
restart: {delay: 1s}
active_service:
  - {id: 1, service_type: udp, name: udp, host: 127.0.0.1, port: 0, processes: 2}
  - {id: 2, service_type: unix, name: dgram, socket_type: dgram, endpoint: RUNTIME/../d.sock, processes: 2}
  - {id: 3, service_type: tcp, name: tcp, host: 127.0.0.1, port: 0, processes: 1}
`)
	observer := dial(t, "tcp", s.service("tcp").Address)
	for service, network := range map[string]string{"udp": "udp", "dgram": "unixgram"} {
		c := sourceOf(t, network, s.service(service).Address)
		_, home := c.who()
		for n := range 2 { // the second end in a row is followed by a delay
			pid := 0
			eventually(t, "its process is ready", func() bool {
				for _, p := range s.service(service).Processes {
					if fmt.Sprint(p.ProcessID) == home && p.State == "ready" && p.Restarts == n {
						pid = p.PID
					}
				}
				return pid != 0
			})
			c.in(home)
			if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}
			eventually(t, "it has ended", func() bool { return !alive(pid) })
		}
		observer.delivered(`"entity":"room","entity_id":7`, "adopted", 1)
		c.gets("adopted")
		id, process := c.who()
		if id != c.id || process == home {
			t.Errorf("client %s in process %s, want %s adopted from %s", id, process, c.id, home)
		}
		for deadline := time.Now().Add(patience); process != home && time.Now().Before(deadline); {
			if id, process = c.who(); id != c.id {
				t.Fatalf("client %s has become %s", c.id, id)
			}
		}
		observer.delivered(`"entity":"room","entity_id":7`, "back", 1)
		c.gets("back")
		c.in(home)
		c.until(`{"type":"leave","entity":"room","entity_id":7,"id":2}`, func(o object) bool { return o["type"] == "left" })
	}
}

// TestSourcesKeepTheirIDs over everything that is planned: scaling up and down, and a
// rolling restart.
func TestSourcesKeepTheirIDs(t *testing.T) {
	t.Parallel()
	s := start(t, `
active_service:
  - {id: 1, service_type: udp, name: udp, host: 127.0.0.1, port: 0, processes: 1}
  - {id: 3, service_type: tcp, name: tcp, host: 127.0.0.1, port: 0, processes: 1}
`)
	observer := dial(t, "tcp", s.service("tcp").Address)
	var all []*source
	for range 16 {
		all = append(all, sourceOf(t, "udp", s.service("udp").Address))
	}
	same := func(what string) (processes map[string]int) {
		t.Helper()
		observer.ask(`{"entity":"room","entity_id":7,"message":"`+what+`","id":1}`).want(t, "type", "receipt", "delivered", "16")
		processes = make(map[string]int)
		for _, c := range all {
			c.gets(what)
			id, process := c.who()
			if processes[process]++; id != c.id {
				t.Errorf("%s: client %s has become %s", what, c.id, id)
			}
		}
		return processes
	}
	same("before")
	s.must("scale", "udp=2")
	eventually(t, "the new processes have clients", func() bool {
		n := 0
		for _, p := range s.service("udp").Processes {
			if p.Clients > 0 {
				n++
			}
		}
		return n == 2
	})
	same("scaled up")
	s.must("restart", "udp")
	if in := same("restarted"); len(in) != 2 {
		t.Errorf("clients are in %v", in)
	}
	s.must("scale", "udp=1")
	if in := same("scaled down"); len(in) != 1 {
		t.Errorf("clients are in %v", in)
	}
}
