package main_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"maps"
	"net"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

const forInput = `
num_of_process: 1
service_type: [{name: probe}]
active_service:
  - {id: 1, service_type: tcp, name: line, host: 127.0.0.1, port: 0, limits: {max_message_bytes: 4096}}
  - {id: 2, service_type: tcp, name: length, host: 127.0.0.1, port: 0, framing: length32, limits: {max_message_bytes: 4096}}
  - {id: 3, service_type: udp, name: udp, host: 127.0.0.1, port: 0, limits: {max_message_bytes: 4096}}
  - {id: 4, service_type: unix, name: packet, socket_type: seqpacket, endpoint: p.sock, limits: {max_message_bytes: 4096}}
  - {id: 5, service_type: tcp, name: text, host: 127.0.0.1, port: 0, message_format_in: text, limits: {max_message_bytes: 4096}}
  - {id: 6, service_type: unix, name: dgram, endpoint: d.sock, limits: {max_message_bytes: 4096}}
  - {id: 9, service_type: probe, name: probe}
`

// answers are the types, and the codes of the errors, in what a client got.
func answers(t *testing.T, stream string) (list []string) {
	t.Helper()
	for line := range strings.Lines(stream) {
		o := decode(t, []byte(line))
		if word := fmt.Sprint(o["type"]); word == "error" {
			list = append(list, fmt.Sprint(o["code"]))
		} else {
			list = append(list, word)
		}
	}
	return list
}

// talk writes input to a new connection in pieces of the given size, closes that
// direction, and returns everything that comes back until the other side closes.
func talk(t *testing.T, address, input string, piece int) string {
	t.Helper()
	c := dial(t, "tcp", address)
	for len(input) > 0 {
		n := min(piece, len(input))
		if _, err := io.WriteString(c.conn, input[:n]); err != nil {
			t.Fatal(err)
		}
		input = input[n:]
	}
	if err := c.conn.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if err := c.conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	out, err := io.ReadAll(c.r)
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

// frame puts the length before each payload.
func frame(payloads ...string) (out string) {
	for _, p := range payloads {
		out += string(binary.BigEndian.AppendUint32(nil, uint32(len(p)))) + p
	}
	return out
}

// unframe makes lines of frames.
func unframe(t *testing.T, stream string) (lines string) {
	t.Helper()
	for b := []byte(stream); len(b) > 0; {
		n := binary.BigEndian.Uint32(b)
		lines += string(b[4:4+n]) + "\n"
		b = b[4+n:]
	}
	return lines
}

// TestBadInput sends what no client should. Each mistake has its answer, the
// connection lives on (a ping follows each), and `drops` shows the reasons.
func TestBadInput(t *testing.T) {
	t.Parallel()
	s := start(t, forInput, pluginDirs(t, "probe")...)
	ping := `{"type":"ping"}`
	drops := map[string]map[string]uint64{"line": {}, "length": {}}
	for _, c := range []struct {
		name, input string
		want        []string
	}{
		{"nothing", "", nil},
		{"empty lines", "\n\r\n\n", nil},
		{"CRLF", ping + "\r\n" + ping + "\r\n", []string{"pong", "pong"}},
		{"no JSON", "hello\n", []string{"bad_message"}},
		{"no object", "[1]\n42\nnull\n\"x\"\n", []string{"bad_message", "bad_message", "bad_message", "bad_message"}},
		{"invalid UTF-8", "{\"entity\":\"room\",\"entity_id\":1,\"message\":\"\xc3\x28\"}\n\xff\xfe\n", []string{"bad_message", "bad_message"}},
		{"NUL", "\x00\x00\n", []string{"bad_message"}},
		{"deep", strings.Repeat("[", 4000) + "\n" + `{"message":` + strings.Repeat(`{"a":`, 600) + "1" + strings.Repeat("}", 600) + "}\n", []string{"bad_message", "bad_message"}},
		{"too long", strings.Repeat("x", 4097) + "\n", []string{"too_large"}},
		{"much too long", `{"message":"` + strings.Repeat("x", 1<<20) + "\"}\n", []string{"too_large"}},
		{"just fits", `{"type":"ping","x":"` + strings.Repeat("x", 4096-len(`{"type":"ping","x":""}`)) + "\"}\r\n", []string{"pong"}},
		{"wrong types", `{"entity":7,"entity_id":1,"message":1}` + "\n" + `{"entity":"room","entity_id":"1","message":1}` + "\n" + `{"type":"ping","id":1.5}` + "\n", []string{"bad_message", "bad_message", "bad_message"}},
		{"trailing text", `{"type":"ping"} {"type":"ping"}` + "\n", []string{"bad_message"}},
		{"no destination", `{"message":1}` + "\n", []string{"no_destination"}},
		{"denied", `{"type":"join","entity":"client","entity_id":1}` + "\n", []string{"denied"}},
		{"nobody there, and no id", `{"entity":"room","entity_id":1,"message":1}` + "\n", nil},
	} {
		for _, piece := range []int{1 << 20, 7} {
			if piece == 7 && len(c.input) > 10_000 {
				continue
			}
			out := talk(t, s.service("line").Address, c.input+ping+"\n", piece)
			if got := answers(t, out); !slices.Equal(got, append(slices.Clone(c.want), "pong")) {
				t.Errorf("%s: got %v, want %v and a pong", c.name, got, c.want)
			}
			for _, word := range c.want {
				if word != "pong" {
					drops["line"][word]++
				}
			}
			if c.name == "nobody there, and no id" {
				drops["line"]["no_such_entity"]++
			}
		}
	}
	if out := talk(t, s.service("line").Address, `{"type":"ping","id":"b"}`+"\n", 1); !strings.Contains(out, `"b"`) {
		t.Errorf("a byte at a time got %q", out)
	}
	if got := answers(t, talk(t, s.service("line").Address, ping, 100)); !slices.Equal(got, []string{"bad_message"}) {
		t.Errorf("a line without an end got %q", got)
	}
	drops["line"]["bad_message"]++

	for _, c := range []struct {
		name, input string
		want        []string
	}{
		{"keep-alives", frame("", "", ping), []string{"pong"}},
		{"too long", frame(strings.Repeat("x", 5000), ping, strings.Repeat("y", 1<<20), ping), []string{"too_large", "pong", "too_large", "pong"}},
		{"no JSON", frame("\n", "\x00", ping), []string{"bad_message", "bad_message", "pong"}},
		{"cut off", frame(ping) + "\x00\x00\x00\x09abc", []string{"pong", "bad_message"}},
		{"a line", frame(ping) + `{"type":"ping"}` + "\n", []string{"pong", "too_large"}}, // "{"ty" is a length over 64 MiB
	} {
		out := unframe(t, talk(t, s.service("length").Address, c.input, 1<<20))
		got := answers(t, out)
		if c.name == "a line" { // closed, with or without a word
			got = append(got[:1], "too_large")
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("length32, %s: got %v, want %v", c.name, got, c.want)
		}
	}
	absurd := dialPeer(t, s, "length", "json", "json")
	if _, err := absurd.conn.Write([]byte{0xff, 0xff, 0xff, 0xff}); err != nil {
		t.Fatal(err)
	}
	if err := absurd.conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, absurd.r); err != nil {
		t.Errorf("an absurd length did not close the connection: %v", err)
	}

	if out := talk(t, s.service("text").Address, "nobody\nwants this\n\xff\n", 1<<20); out != "" {
		t.Errorf("a text client was told %q", out)
	}
	for name, want := range map[string]map[string]uint64{
		"line": drops["line"],
		"text": {"no_destination": 2, "bad_message": 1},
	} {
		eventually(t, name+" has counted its drops", func() bool { return maps.Equal(s.service(name).Processes[0].Drops, want) })
	}
	if p := s.service("length").Processes[0]; p.Drops["too_large"] < 2 || p.Drops["bad_message"] != 3 || p.Generation != 1 {
		t.Errorf("length32: drops %v in generation %d", p.Drops, p.Generation)
	}
}

// TestBadDatagrams does the same to the transports without a stream.
func TestBadDatagrams(t *testing.T) {
	t.Parallel()
	s := start(t, forInput, pluginDirs(t, "probe")...)
	udp, packet := dial(t, "udp", s.service("udp").Address), dialPacket(t, s.service("packet").Address)
	for _, c := range []*client{udp, packet} {
		for _, big := range []int{4097, 9000} {
			c.ask(`{"type":"ping","x":"`+strings.Repeat("x", big)+`"}`).want(t, "type", "error", "code", "too_large")
		}
		c.ask("\xff").want(t, "type", "error", "code", "bad_message")
		c.ask(`{"type":"ping"}{}`).want(t, "type", "error", "code", "bad_message")
		c.send("") // keep-alive
		c.ask(`{"type":"ping","id":1}`+"\n").want(t, "type", "pong", "id", "1")
	}
	for _, name := range []string{"udp", "packet"} {
		want := map[string]uint64{"too_large": 2, "bad_message": 2}
		if got := s.service(name).Processes[0].Drops; !maps.Equal(got, want) {
			t.Errorf("%s: drops %v, want %v", name, got, want)
		}
	}

	// A flood of nonsense is counted to the last datagram and hardly answered.
	flood := dial(t, "udp", s.service("udp").Address)
	for range 20 {
		for range 100 {
			flood.send("nonsense")
		}
		udp.ask(`{"type":"ping"}`).want(t, "type", "pong")
	}
	eventually(t, "the flood is counted", func() bool {
		d := s.service("udp").Processes[0].Drops
		return d["bad_message"]+d["kernel"] == 2002
	})
	// The pong comes after every answer to the flood.
	flood.send(`{"type":"ping"}`)
	told := 0
	for flood.receive()["type"] != "pong" {
		told++
	}
	if told == 0 || told > 1000 {
		t.Errorf("2000 bad datagrams were answered %d times", told)
	}
}

// TestKernelDrops overruns a receive buffer while nobody reads it.
func TestKernelDrops(t *testing.T) {
	t.Parallel()
	s := start(t, `
active_service:
  - {id: 1, service_type: udp, name: udp, host: 127.0.0.1, port: 0, processes: 1}
  - {id: 2, service_type: tcp, name: tcp, host: 127.0.0.1, port: 0, processes: 1}
`)
	p := s.service("udp").Processes[0]
	freeze(t, p.PID)
	udp := dial(t, "udp", s.service("udp").Address)
	nonsense := strings.Repeat("x", 60_000)
	for range 400 {
		udp.send(nonsense)
	}
	dial(t, "tcp", s.service("tcp").Address).ask(`{"type":"ping"}`).want(t, "type", "pong")
	if err := syscall.Kill(p.PID, syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	eventually(t, "every datagram is counted", func() bool {
		d := s.service("udp").Processes[0].Drops
		return d["kernel"] > 0 && d["kernel"]+d["bad_message"] == 400
	})
}

// TestHalfClose closes the sending half while answers are owed: they come, then the
// connection ends.
func TestHalfClose(t *testing.T) {
	t.Parallel()
	s := start(t, forInput, pluginDirs(t, "probe")...)
	out := talk(t, s.service("line").Address, `{"entity":"service","entity_id":9,"message":{"do":"wait","ms":300},"id":1}`+"\n", 1<<20)
	if got := answers(t, out); !slices.Contains(got, "receipt") || !slices.Contains(got, "message") || len(got) != 2 {
		t.Errorf("got %v", got)
	}
	for _, tool := range []string{"nc", "socat"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("this test needs %s; .ci/run installs it", tool)
		}
	}
	_, port, err := net.SplitHostPort(s.service("line").Address)
	if err != nil {
		t.Fatal(err)
	}
	for _, command := range []string{
		"nc -N 127.0.0.1 " + port,
		"socat -t 10 - TCP:127.0.0.1:" + port,
		"socat -t 0.5 - UNIX-CONNECT:" + s.service("packet").Address + ",type=5",
		"socat -t 0.5 - UNIX-SENDTO:" + s.service("dgram").Address + ",bind=" + filepath.Join(s.dir, "me.sock"),
	} {
		cmd := exec.Command("sh", "-c", command)
		cmd.Stdin = strings.NewReader(`{"type":"ping","id":"tool"}` + "\n")
		out, err := cmd.CombinedOutput()
		if strings.TrimSpace(string(out)) != `{"type":"pong","id":"tool"}` {
			t.Errorf("%s: %q, %v", command, out, err)
		}
	}
}

// TestGarbageOnOurSockets throws nonsense at the sockets of the runtime directory,
// and holds many of them open in silence: clients notice nothing.
func TestGarbageOnOurSockets(t *testing.T) {
	t.Parallel()
	s := start(t, threeServices)
	c := dial(t, "tcp", s.service("tcp").Address)
	garbage := [][]byte{
		bytes.Repeat([]byte{0xff}, 100_000), bytes.Repeat([]byte{0}, 100_000), bytes.Repeat([]byte("GET / HTTP/1.1\r\n"), 5_000),
		append([]byte{0, 0, 0, 60, 1}, bytes.Repeat([]byte{1}, 60)...), []byte("\n\n\n"), bytes.Repeat([]byte("{"), 50_000),
	}
	for _, name := range []string{"relay.sock", "control.sock", "internal.sock"} {
		for range 20 {
			for _, g := range garbage {
				conn, err := net.Dial("unix", filepath.Join(s.runtimeDir(), name))
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { conn.Close() })
				_ = conn.SetWriteDeadline(time.Now().Add(time.Second))
				_, _ = conn.Write(g) // the other side may close first
				if len(g) > 50_000 {
					conn.Close()
				}
			}
		}
		c.ask(`{"type":"ping"}`).want(t, "type", "pong")
	}
	eventually(t, "strangers at the relay socket are refused", func() bool {
		return strings.Contains(s.stderr.String(), "a connection to the relay socket was refused")
	})
	refused, err := net.Dial("unix", filepath.Join(s.runtimeDir(), "relay.sock"))
	if err != nil {
		t.Fatal(err)
	}
	defer refused.Close()
	_ = refused.SetReadDeadline(time.Now().Add(patience))
	if n, err := io.Copy(io.Discard, refused); n > 0 || err != nil {
		t.Errorf("a silent stranger read %d bytes, %v", n, err)
	}
	if out, errs, code := s.antano("send", "--receipt", "--entity", "room", "--entity-id", "1", "x"); code != 1 || !strings.Contains(out, "no_such_entity") {
		t.Errorf("send: exit %d: %s%s", code, out, errs)
	}
	for _, svc := range s.status().Services {
		for _, p := range svc.Processes {
			if p.State != "ready" || p.Generation != 1 {
				t.Errorf("%s/%d is %s in generation %d", svc.Name, p.ProcessID, p.State, p.Generation)
			}
		}
	}
}
