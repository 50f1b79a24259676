package main_test

import (
	"fmt"
	"net"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

const threeServices = `
active_service:
  - {id: 1, service_type: udp, name: udp, host: 127.0.0.1, port: 0, processes: 2}
  - {id: 2, service_type: tcp, name: tcp, host: 127.0.0.1, port: 0, processes: 2}
  - {id: 3, service_type: unix, name: unix, socket_type: stream, endpoint: RUNTIME/u.sock, processes: 2}
`

// TestUDPToTCP is the main job: a UDP client writes to a TCP client in another
// process, by group and by id, and gets its receipts.
func TestUDPToTCP(t *testing.T) {
	t.Parallel()
	s := start(t, threeServices)
	tcp := dial(t, "tcp", s.service("tcp").Address)
	udp := dial(t, "udp", s.service("udp").Address)
	tcp.ask(`{"type":"join","entity":"room","entity_id":7,"id":"j"}`).want(t, "type", "joined", "id", "j", "entity", "room")
	udp.ask(`{"entity":"room","entity_id":7,"message":{"text":"hello"},"id":1}`).
		want(t, "type", "receipt", "id", "1", "delivered", "1")
	tcp.receive().want(t, "type", "message", "entity", "room", "entity_id", "7", "message", "map[text:hello]",
		"from", "map[entity:client entity_id:"+udp.whoami()+"]")
	udp.ask(fmt.Sprintf(`{"entity":"client","entity_id":%s,"message":[1,2],"id":2}`, tcp.whoami())).
		want(t, "type", "receipt", "id", "2", "delivered", "1")
	tcp.receive().want(t, "message", "[1 2]")
}

// TestGroupsSpanServicesAndProcesses joins from every process of every service: each
// member gets a message once, the sender included.
func TestGroupsSpanServicesAndProcesses(t *testing.T) {
	t.Parallel()
	s := start(t, threeServices)
	var members []*client
	for range 4 {
		members = append(members,
			dial(t, "tcp", s.service("tcp").Address),
			dial(t, "unix", s.service("unix").Address),
			dial(t, "udp", s.service("udp").Address))
	}
	processes := map[string]bool{}
	for _, c := range members {
		processes[fmt.Sprint(c.ask(`{"type":"whoami"}`)["process_id"])] = true
		c.ask(`{"type":"join","entity":"user","entity_id":42,"id":1}`).want(t, "type", "joined")
	}
	if len(processes) < 4 {
		t.Errorf("12 clients are spread over the processes %v only", processes)
	}
	members[0].send(`{"entity":"user","entity_id":42,"message":"x","id":9}`)
	receipts := 0
	for i, c := range members {
		for range 1 + btoi(i == 0) {
			switch o := c.receive(); o["type"] {
			case "receipt":
				receipts++
				o.want(t, "delivered", "12", "id", "9")
			default:
				o.want(t, "type", "message", "message", "x")
			}
		}
	}
	if receipts != 1 {
		t.Errorf("%d receipts", receipts)
	}
	for _, c := range members { // nothing came twice
		c.ask(`{"type":"leave","entity":"user","entity_id":42,"id":2}`).want(t, "type", "left")
	}
	members[0].ask(`{"entity":"user","entity_id":42,"message":"x","id":10}`).want(t, "type", "error", "code", "no_such_entity")
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

// TestErrors asks for every answer that needs no fault.
func TestErrors(t *testing.T) {
	t.Parallel()
	s := start(t, threeServices)
	c := dial(t, "tcp", s.service("tcp").Address)
	for _, test := range []struct{ line, code string }{
		{`{"message":1,"id":"a"}`, "no_destination"},
		{`{"entity":"room","entity_id":1,"message":1,"id":"a"}`, "no_such_entity"},
		{`{"entity":"client","entity_id":99,"message":1,"id":"a"}`, "no_such_entity"},
		{`{"entity":"service","entity_id":99,"message":1,"id":"a"}`, "no_such_entity"},
		{`{"entity":"service","entity_id":2,"message":1,"id":"a"}`, "unsupported"},
		{`{"entity":"room","entity_id":1,"process_id":77,"message":1,"id":"a"}`, "no_such_process"},
		{`{"type":"join","entity":"client","entity_id":1,"id":"a"}`, "denied"},
		{`{"type":"join","entity":"service","entity_id":1,"id":"a"}`, "denied"},
		{`{"type":"dance","id":"a"}`, "bad_message"},
		{`{"entity":"room","message":1,"id":"a"}`, "bad_message"},
		{`{"entity":"room","entity_id":1,"id":"a"}`, "bad_message"},
		{`{"entity":"room","entity_id":1,"entity_id":2,"message":1,"id":"a"}`, "bad_message"},
	} {
		o := c.ask(test.line).want(t, "type", "error", "code", test.code, "id", "a")
		if text := fmt.Sprint(o["error"]); len(text) < 10 {
			t.Errorf("%s: error says only %q", test.line, text)
		}
	}
	c.ask("{nonsense").want(t, "type", "error", "code", "bad_message")
	c.ask("\xff\xfe").want(t, "type", "error", "code", "bad_message")
	c.ask(strings.Repeat("[", 100_000)).want(t, "type", "error", "code", "bad_message")
	c.ask(`{"message":"`+strings.Repeat("x", 2<<20)+`"}`).want(t, "type", "error", "code", "too_large")
	c.ask(`{"type":"ping","id":5}`).want(t, "type", "pong", "id", "5")
}

// TestUnixSocketTypes talks to each socket type of the unix service.
func TestUnixSocketTypes(t *testing.T) {
	t.Parallel()
	s := start(t, `
active_service:
  - {id: 1, service_type: unix, name: dgram, endpoint: RUNTIME/d.sock, mode: "0660", processes: 2}
  - {id: 2, service_type: unix, name: stream, socket_type: stream, endpoint: RUNTIME/s.sock, processes: 2}
  - {id: 3, service_type: unix, name: packet, socket_type: seqpacket, endpoint: RUNTIME/p.sock, processes: 2}
`)
	stream := dial(t, "unix", s.service("stream").Address)
	stream.ask(`{"type":"join","entity":"room","entity_id":1,"id":1}`).want(t, "type", "joined")
	packet := dialPacket(t, s.service("packet").Address)
	packet.ask(`{"type":"ping","id":1}`).want(t, "type", "pong")
	packet.ask(`{"entity":"room","entity_id":1,"message":"p","id":2}`).want(t, "type", "receipt", "delivered", "1")
	stream.receive().want(t, "message", "p")

	local := &net.UnixAddr{Name: filepath.Join(s.dir, "me.sock"), Net: "unixgram"}
	conn, err := net.DialUnix("unixgram", local, &net.UnixAddr{Name: s.service("dgram").Address, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	dgram := &client{t: t, conn: conn}
	dgram.ask(`{"type":"join","entity":"room","entity_id":1,"id":1}`).want(t, "type", "joined")
	stream.send(`{"entity":"room","entity_id":1,"message":"s","id":3}`)
	dgram.receive().want(t, "message", "s")
	var st syscall.Stat_t
	if err := syscall.Stat(s.service("dgram").Address, &st); err != nil || st.Mode&0o777 != 0o660 {
		t.Errorf("mode of the socket is %o, %v", st.Mode&0o777, err)
	}
}

func dialPacket(t *testing.T, path string) *client {
	t.Helper()
	conn, err := net.DialUnix("unixpacket", nil, &net.UnixAddr{Name: path, Net: "unixpacket"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return &client{t: t, conn: packetConn{conn}}
}

// packetConn makes the line client read packets.
type packetConn struct{ *net.UnixConn }

func (packetConn) LocalAddr() net.Addr { return &net.UnixAddr{Net: "unixgram"} }
