package main_test

import (
	"fmt"
	"net"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// source is a datagram client with the id that it had first.
type source struct {
	t     *testing.T
	conn  net.Conn
	id    string
	pings int
}

// sourceOf opens a datagram socket to a service and joins room 7.
func sourceOf(t *testing.T, network, address string) *source {
	t.Helper()
	var conn net.Conn
	var err error
	if network == "unixgram" {
		own := filepath.Join(filepath.Dir(address), fmt.Sprintf("c%d", time.Now().UnixNano()))
		conn, err = net.DialUnix(network, &net.UnixAddr{Name: own, Net: network}, &net.UnixAddr{Name: address, Net: network})
	} else {
		conn, err = net.Dial(network, address)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	s := &source{t: t, conn: conn}
	s.id, _ = s.who()
	s.until(`{"type":"join","entity":"room","entity_id":7,"id":1}`, func(o object) bool { return o["type"] == "joined" })
	return s
}

// until sends a message again and again until an answer is the one that is wanted.
func (s *source) until(message string, wanted func(object) bool) object {
	s.t.Helper()
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); {
		if _, err := s.conn.Write([]byte(message)); err != nil {
			s.t.Fatal(err)
		}
		for o := s.read(200 * time.Millisecond); o != nil; o = s.read(200 * time.Millisecond) {
			if wanted(o) {
				return o
			}
		}
	}
	s.t.Fatalf("no answer to %s", message)
	return nil
}

// read returns the next object, nil when none comes for a while.
func (s *source) read(wait time.Duration) object {
	s.t.Helper()
	buf := make([]byte, 1<<16)
	if err := s.conn.SetReadDeadline(time.Now().Add(wait)); err != nil {
		s.t.Fatal(err)
	}
	n, err := s.conn.Read(buf)
	if err != nil {
		return nil
	}
	return decode(s.t, buf[:n])
}

// who asks for the client's id and its process.
func (s *source) who() (id, process string) {
	s.t.Helper()
	o := s.until(`{"type":"whoami","id":"who"}`, func(o object) bool { return o["type"] == "client" })
	return fmt.Sprint(o["entity_id"]), fmt.Sprint(o["process_id"])
}

// gets fails unless the next messages are these, each once, and no other is on its way:
// the answer to a ping comes behind. Answers to what until said again may come late.
func (s *source) gets(values ...string) {
	s.t.Helper()
	for _, v := range values {
		o := s.read(patience)
		for o != nil && o["type"] != "message" {
			o = s.read(patience)
		}
		if o == nil || fmt.Sprint(o["message"]) != v {
			s.t.Fatalf("client %s got %v, want %s", s.id, o, v)
		}
	}
	s.pings++
	id := fmt.Sprintf("after %d", s.pings)
	s.until(fmt.Sprintf(`{"type":"ping","id":%q}`, id), func(o object) bool {
		if o["type"] == "message" {
			s.t.Errorf("client %s got %v, too", s.id, o)
		}
		return o["id"] == id
	})
}

// in fails unless the client has its id, and is served by the process.
func (s *source) in(process string) {
	s.t.Helper()
	id, p := s.who()
	if id != s.id || p != process {
		s.t.Errorf("client %s in process %s, want %s in %s", id, p, s.id, process)
	}
}

// delivered sends a message until it is delivered.
func (c *client) delivered(to, value string, copies int) {
	c.t.Helper()
	eventually(c.t, value+" is delivered", func() bool {
		o := c.ask(fmt.Sprintf(`{%s,"message":%q,"id":"m"}`, to, value))
		return o["type"] == "receipt" && fmt.Sprint(o["delivered"]) == fmt.Sprint(copies)
	})
}

// TestSourcesSurviveCrash kills the only process of a datagram service: without a word
// from its clients they can be reached again, by id and in their group.
func TestSourcesSurviveCrash(t *testing.T) {
	t.Parallel()
	s := start(t, `
active_service:
  - {id: 1, service_type: udp, name: udp, host: 127.0.0.1, port: 0, processes: 1}
  - {id: 2, service_type: unix, name: dgram, socket_type: dgram, endpoint: RUNTIME/../d.sock, processes: 1}
  - {id: 3, service_type: tcp, name: tcp, host: 127.0.0.1, port: 0, processes: 1}
`)
	observer := dial(t, "tcp", s.service("tcp").Address)
	self := observer.whoami()
	for service, network := range map[string]string{"udp": "udp", "dgram": "unixgram"} {
		svc := s.service(service)
		c := sourceOf(t, network, svc.Address)
		for n := range 2 { // what was restored is restored again
			if err := syscall.Kill(s.service(service).Processes[0].PID, syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}
			eventually(t, "the process is back", func() bool {
				p := s.service(service).Processes[0]
				return p.State == "ready" && p.Restarts == n+1 && p.Clients == 1
			})
			observer.delivered(`"entity":"client","entity_id":`+c.id, "direct", 1)
			c.gets("direct")
			observer.delivered(`"entity":"room","entity_id":7`, "group", 1)
			c.gets("group")
			if _, err := fmt.Fprintf(c.conn, `{"entity":"client","entity_id":%s,"message":"back"}`, self); err != nil {
				t.Fatal(err)
			}
			if from := observer.receive().want(t, "message", "back")["from"].(map[string]any); fmt.Sprint(from["entity_id"]) != c.id {
				t.Errorf("from %v, want client %s", from, c.id)
			}
			c.in(fmt.Sprint(svc.Processes[0].ProcessID))
		}
		c.until(`{"type":"leave","entity":"room","entity_id":7,"id":2}`, func(o object) bool { return o["type"] == "left" })
	}
}
