package main_test

import (
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"
)

// withHandlers has the processes 1 and 2 of tcp, 3 and 4 of udp, 5 to 7 of the probe.
const withHandlers = `
service_type: [{id: 101, name: echo}, {name: probe}]
active_service:
  - {id: 1, service_type: tcp, name: tcp, host: 127.0.0.1, port: 0, processes: 2}
  - {id: 2, service_type: udp, name: udp, host: 127.0.0.1, port: 0, processes: 2, forward_to: {entity: service, entity_id: 9}}
  - {id: 9, service_type: probe, name: probe, processes: 3}
  - {id: 10, service_type_id: 101, name: echo, processes: 1, settings: {prefix: "echo: "}}
  - {id: 11, service_type: tcp, name: text, host: 127.0.0.1, port: 0, processes: 1, message_format_in: text, message_format_out: text,
     forward_to: {entity: service, entity_id: 10}}
`

// call sends a message with an id to a handler and returns the receipt and the
// response, which may come in either order.
func (c *client) call(line string) (receipt, response object) {
	c.t.Helper()
	c.send(line)
	for receipt == nil || response == nil {
		switch o := c.receive(); o["type"] {
		case "receipt":
			receipt = o
		case "message":
			response = o
		default:
			c.t.Fatalf("%s: got %v", line, o)
		}
	}
	return receipt, response
}

// TestHandler sends messages to `service/<id>` from two transports, to any process
// and to the named one.
func TestHandler(t *testing.T) {
	t.Parallel()
	s := start(t, withHandlers, pluginDirs(t, "probe")...)
	tcp, udp := dial(t, "tcp", s.service("tcp").Address), dial(t, "udp", s.service("udp").Address)

	receipt, response := tcp.call(`{"entity":"service","entity_id":9,"message":{"a":[1,null]},"id":"q"}`)
	receipt.want(t, "id", "q", "delivered", "1")
	response.want(t, "message", "map[a:[1 <nil>]]", "in_reply_to", "q", "from", "map[entity:service entity_id:9]",
		"entity", "client", "entity_id", tcp.whoami())
	tcp.ask(`{"entity":"service","entity_id":9,"message":"no id"}`).want(t, "type", "message", "message", "no id", "in_reply_to", "<nil>")
	_, response = tcp.call(`{"entity":"service","entity_id":10,"message":"hello","id":1}`)
	response.want(t, "message", "echo: hello")
	_, response = udp.call(`{"message":"forwarded","id":7}`)
	response.want(t, "message", "forwarded", "in_reply_to", "7")

	for process := 5; process <= 7; process++ {
		_, response := tcp.call(fmt.Sprintf(`{"entity":"service","entity_id":9,"process_id":%d,"message":{"do":"who"},"id":1}`, process))
		if got := fmt.Sprint(response["message"].(map[string]any)["process_id"]); got != fmt.Sprint(process) {
			t.Errorf("process %s answered for %d", got, process)
		}
	}
	tcp.ask(`{"entity":"service","entity_id":9,"process_id":1,"message":1,"id":1}`).want(t, "type", "error", "code", "no_such_process")
	tcp.ask(`{"entity":"service","entity_id":1,"message":1,"id":1}`).want(t, "type", "error", "code", "unsupported")
	tcp.ask(`{"entity":"service","entity_id":2,"message":1}`).want(t, "type", "error", "code", "unsupported")

	bare := dial(t, "tcp", s.service("text").Address)
	bare.send("plain text")
	if line, err := bare.r.ReadString('\n'); err != nil || line != "echo: plain text\n" {
		t.Errorf("the text client got %q, %v", line, err)
	}
}

// TestHandlerKeepsClientsApart asks many clients who serves them: each is always in
// the same process, and not all are in one.
func TestHandlerKeepsClientsApart(t *testing.T) {
	t.Parallel()
	s := start(t, withHandlers, pluginDirs(t, "probe")...)
	processes := map[string]bool{}
	for range 16 {
		c := dial(t, "tcp", s.service("tcp").Address)
		mine := ""
		for i := range 10 {
			who := c.ask(`{"entity":"service","entity_id":9,"message":{"do":"who"}}`)["message"].(map[string]any)
			if got := fmt.Sprint(who["process_id"]); i == 0 {
				mine = got
			} else if got != mine {
				t.Fatalf("messages of one client went to the processes %s and %s", mine, got)
			}
		}
		processes[mine] = true
	}
	if len(processes) < 2 {
		t.Errorf("16 clients are all served by process %v", processes)
	}
}

// TestHandlerOrder pipelines 1000 messages: they are handled, and answered, in order,
// and each has one receipt.
func TestHandlerOrder(t *testing.T) {
	t.Parallel()
	s := start(t, withHandlers, pluginDirs(t, "probe")...)
	c := dial(t, "tcp", s.service("tcp").Address)
	const n = 1000
	var all strings.Builder
	for i := range n {
		fmt.Fprintf(&all, `{"entity":"service","entity_id":9,"message":%d,"id":%d}`+"\n", i, i)
	}
	c.send(strings.TrimSuffix(all.String(), "\n"))
	next, receipts := 0, map[string]bool{}
	for next < n || len(receipts) < n {
		switch o := c.receive(); o["type"] {
		case "message":
			o.want(t, "message", fmt.Sprint(next), "in_reply_to", fmt.Sprint(next))
			next++
		default:
			id := fmt.Sprint(o.want(t, "type", "receipt", "delivered", "1")["id"])
			if receipts[id] {
				t.Fatalf("two receipts for %s", id)
			}
			receipts[id] = true
		}
	}
}

// TestMetricsGoOn counts over the crash of a process, and that of the manager after it.
func TestMetricsGoOn(t *testing.T) {
	t.Parallel()
	flags := pluginDirs(t, "probe")
	s := start(t, strings.NewReplacer("processes: 3", "processes: 1", "processes: 2", "processes: 1").Replace(withHandlers), flags...)
	address := s.service("tcp").Address
	panics := func(s *server, want int64) {
		t.Helper()
		dial(t, "tcp", address).ask(`{"entity":"service","entity_id":9,"message":{"do":"panic"},"id":1}`).want(t, "code", "unsupported")
		eventually(t, fmt.Sprintf("%d panics are counted", want), func() bool { return s.service("probe").Processes[0].Metrics["panics"] == want })
	}
	panics(s, 1)
	if err := syscall.Kill(s.service("probe").Processes[0].PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the process is back", func() bool { p := s.service("probe").Processes[0]; return p.State == "ready" && p.Generation == 2 })
	panics(s, 2)
	s.kill()
	next := s.successor(flags...)
	next.start()
	panics(next, 3)
}

// TestHandlerFailures has handlers that refuse, panic, take too long and die.
func TestHandlerFailures(t *testing.T) {
	t.Parallel()
	s := start(t, withHandlers, pluginDirs(t, "probe")...)
	c, slow := dial(t, "tcp", s.service("tcp").Address), dial(t, "tcp", s.service("tcp").Address)
	began := time.Now()
	slow.send(`{"entity":"service","entity_id":9,"message":{"do":"wait","ms":5000},"id":"slow"}`)
	for _, code := range []string{"denied", "unsupported", "too_large", "overloaded", "no_such_entity"} {
		c.ask(fmt.Sprintf(`{"entity":"service","entity_id":9,"message":{"do":"fail","code":"%s"},"id":"%s"}`, code, code)).
			want(t, "type", "error", "code", code, "id", code)
	}
	c.ask(`{"entity":"service","entity_id":9,"message":{"do":"panic"},"id":"p"}`).want(t, "type", "error", "code", "unsupported", "id", "p")
	c.ask(`{"entity":"service","entity_id":9,"message":"after"}`).want(t, "message", "after")
	eventually(t, "the panic is in the log", func() bool { return strings.Contains(s.stderr.String(), "handler panicked") })
	eventually(t, "the panic is counted", func() (counted bool) {
		for _, p := range s.service("probe").Processes {
			counted = counted || p.Metrics["panics"] == 1
		}
		return counted
	})
	for _, p := range s.service("probe").Processes {
		if p.Generation != 1 || p.State != "ready" {
			t.Errorf("process %d is %s in generation %d", p.ProcessID, p.State, p.Generation)
		}
	}
	slow.receive().want(t, "type", "error", "code", "timeout", "id", "slow")
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("the answer took %s", took)
	}

	c.send(`{"entity":"service","entity_id":9,"process_id":6,"message":{"do":"wait","ms":20000},"id":"lost"}`)
	c.ask(`{"type":"ping"}`).want(t, "type", "pong")
	p := s.service("probe").Processes[1]
	if err := syscall.Kill(p.PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	c.receive().want(t, "type", "error", "code", "process_lost", "id", "lost")
}

// TestHandlerPassesOn has a handler send a message to a group and tell what became
// of it.
func TestHandlerPassesOn(t *testing.T) {
	t.Parallel()
	s := start(t, withHandlers, pluginDirs(t, "probe")...)
	c, member := dial(t, "tcp", s.service("tcp").Address), dial(t, "udp", s.service("udp").Address)
	member.ask(`{"type":"join","entity":"room","entity_id":-1,"id":1}`).want(t, "type", "joined")
	c.ask(`{"entity":"service","entity_id":9,"message":{"do":"pass","to":{"entity":"room","entity_id":-1}}}`).
		want(t, "message", "map[Delivered:1 Failed:<nil>]")
	member.receive().want(t, "message", "passed on", "from", "map[entity:service entity_id:9]", "entity_id", "-1")
	c.ask(`{"entity":"service","entity_id":9,"message":{"do":"pass","to":{"entity":"room","entity_id":5}},"id":2}`).
		want(t, "type", "error", "code", "no_such_entity")
}
