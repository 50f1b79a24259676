package main_test

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/antano/antano/manager"
)

var formatNames = []string{"json", "msgpack", "text", "binary"}

// peer is a client that sees bytes: how they are framed, not what they mean.
type peer struct {
	t        *testing.T
	conn     net.Conn
	r        *bufio.Reader
	in, out  string // formats
	lengthIn bool   // what it sends is framed by length32
	lengthTo bool   // and what it gets
}

func dialPeer(t *testing.T, s *server, service, in, out string) *peer {
	t.Helper()
	c := dial(t, "tcp", s.service(service).Address)
	length := func(format string) bool { return format == "msgpack" || format == "binary" }
	return &peer{t, c.conn, c.r, in, out, length(in), length(out)}
}

func (p *peer) send(payload []byte) {
	p.t.Helper()
	frame := append(bytes.Clone(payload), '\n')
	if p.lengthIn {
		frame = append(binary.BigEndian.AppendUint32(nil, uint32(len(payload))), payload...)
	}
	if _, err := p.conn.Write(frame); err != nil {
		p.t.Fatal(err)
	}
}

func (p *peer) receive() []byte {
	p.t.Helper()
	if err := p.conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
		p.t.Fatal(err)
	}
	var payload []byte
	var err error
	if p.lengthTo {
		var header [4]byte
		if _, err = io.ReadFull(p.r, header[:]); err == nil {
			payload = make([]byte, binary.BigEndian.Uint32(header[:]))
			_, err = io.ReadFull(p.r, payload)
		}
	} else if payload, err = p.r.ReadBytes('\n'); err == nil {
		payload = payload[:len(payload)-1]
	}
	if err != nil {
		p.t.Fatalf("receive: %v", err)
	}
	return payload
}

// sendValue sends a value to wherever messages without an address go.
func (p *peer) sendValue(value []byte) {
	p.t.Helper()
	switch p.in {
	case "json":
		value = fmt.Appendf(nil, `{"message":%s}`, value)
	case "msgpack":
		value = append([]byte("\x81\xa7message"), value...)
	}
	p.send(value)
}

// receiveValue returns the value of the message that comes next.
func (p *peer) receiveValue() []byte {
	p.t.Helper()
	payload := p.receive()
	switch p.out {
	case "json":
		var o struct{ Message json.RawMessage }
		if err := json.Unmarshal(payload, &o); err != nil {
			p.t.Fatalf("%s: %v", payload, err)
		}
		return o.Message
	case "msgpack":
		return msgpackField(p.t, payload, "message")
	}
	return payload
}

// msgpackField finds a field of an object, by the msgpack specification alone.
func msgpackField(t *testing.T, object []byte, name string) []byte {
	t.Helper()
	if len(object) == 0 || object[0]&0xf0 != 0x80 {
		t.Fatalf("%x is no small map", object)
	}
	b := object[1:]
	for range object[0] & 0x0f {
		n := int(b[0] & 0x1f) // our keys are short strings
		key, value := string(b[1:1+n]), b[1+n:]
		size := msgpackSize(t, value)
		if key == name {
			return value[:size]
		}
		b = value[size:]
	}
	return nil
}

func msgpackSize(t *testing.T, b []byte) int {
	t.Helper()
	nested := func(at, n int) int {
		for range n {
			at += msgpackSize(t, b[at:])
		}
		return at
	}
	switch c := b[0]; {
	case c < 0x80 || c >= 0xe0 || c == 0xc0 || c == 0xc2 || c == 0xc3:
		return 1
	case c < 0x90:
		return nested(1, 2*int(c&0x0f))
	case c < 0xa0:
		return nested(1, int(c&0x0f))
	case c < 0xc0:
		return 1 + int(c&0x1f)
	case c == 0xc4 || c == 0xd9:
		return 2 + int(b[1])
	case c == 0xca || c >= 0xcc && c <= 0xcf:
		return 1 + map[byte]int{0xca: 4, 0xcc: 1, 0xcd: 2, 0xce: 4, 0xcf: 8}[c]
	case c == 0xcb:
		return 9
	case c >= 0xd0 && c <= 0xd3:
		return 1 + 1<<(c-0xd0)
	}
	t.Fatalf("%x is not expected here", b)
	return 0
}

func unhex(text string) []byte {
	b, err := hex.DecodeString(strings.ReplaceAll(text, " ", ""))
	if err != nil {
		panic(err)
	}
	return b
}

// none stands for a value that the destination cannot take.
var none []byte

// conversions are values as they are sent, and as json, msgpack, text and binary
// clients get them.
var conversions = map[string][]struct {
	value []byte
	as    [4][]byte
}{
	"json": {
		{[]byte(`"h\u00e9llo"`), [4][]byte{[]byte(`"h\u00e9llo"`), unhex("a6 68c3a96c6c6f"), []byte("héllo"), []byte("héllo")}},
		{[]byte(`18446744073709551615`), [4][]byte{[]byte(`18446744073709551615`), unhex("cf ffffffffffffffff"), []byte(`18446744073709551615`), []byte(`18446744073709551615`)}},
		{[]byte(`-9223372036854775808`), [4][]byte{[]byte(`-9223372036854775808`), unhex("d3 8000000000000000"), []byte(`-9223372036854775808`), []byte(`-9223372036854775808`)}},
		{[]byte(`9007199254740993`), [4][]byte{[]byte(`9007199254740993`), unhex("cf 0020000000000001"), []byte(`9007199254740993`), []byte(`9007199254740993`)}},
		{[]byte(`{"$b64": "AP8Q"}`), [4][]byte{[]byte(`{"$b64": "AP8Q"}`), unhex("c403 00ff10"), none, unhex("00ff10")}},
		{[]byte(`{"a": [1, null, 0.5]}`), [4][]byte{[]byte(`{"a": [1, null, 0.5]}`), unhex("81 a161 93 01 c0 cb3fe0000000000000"), []byte(`{"a":[1,null,0.5]}`), []byte(`{"a":[1,null,0.5]}`)}},
	},
	"msgpack": {
		{unhex("a6 68c3a96c6c6f"), [4][]byte{[]byte(`"héllo"`), unhex("a6 68c3a96c6c6f"), []byte("héllo"), []byte("héllo")}},
		{unhex("d903 616263"), [4][]byte{[]byte(`"abc"`), unhex("d903 616263"), []byte("abc"), []byte("abc")}}, // not the shortest form
		{unhex("cf ffffffffffffffff"), [4][]byte{[]byte(`18446744073709551615`), unhex("cf ffffffffffffffff"), []byte(`18446744073709551615`), []byte(`18446744073709551615`)}},
		{unhex("d3 8000000000000000"), [4][]byte{[]byte(`-9223372036854775808`), unhex("d3 8000000000000000"), []byte(`-9223372036854775808`), []byte(`-9223372036854775808`)}},
		{unhex("c403 00ff10"), [4][]byte{[]byte(`{"$b64":"AP8Q"}`), unhex("c403 00ff10"), none, unhex("00ff10")}},
		{unhex("82 a161 92 01 c0 a162 c3"), [4][]byte{[]byte(`{"a":[1,null],"b":true}`), unhex("82 a161 92 01 c0 a162 c3"), []byte(`{"a":[1,null],"b":true}`), []byte(`{"a":[1,null],"b":true}`)}},
	},
	"text": {
		{[]byte(`say "é\`), [4][]byte{[]byte(`"say \"é\\"`), unhex("a8 7361792022c3a95c"), []byte(`say "é\`), []byte(`say "é\`)}},
	},
	"binary": {
		{unhex("00ff10"), [4][]byte{[]byte(`{"$b64":"AP8Q"}`), unhex("c403 00ff10"), none, unhex("00ff10")}},
		{[]byte("a\nb"), [4][]byte{[]byte(`{"$b64":"YQpi"}`), unhex("c403 610a62"), none, []byte("a\nb")}},
		{[]byte("abc"), [4][]byte{[]byte(`{"$b64":"YWJj"}`), unhex("c403 616263"), []byte("abc"), []byte("abc")}},
	},
}

// TestFormats has a service for every pair of formats in and out, whose clients talk
// to a handler that sends back what it gets: each value is converted once, and what
// the other side cannot take is left out and disturbs nothing.
func TestFormats(t *testing.T) {
	t.Parallel()
	var rows strings.Builder
	rows.WriteString("service_type: [{name: echo}]\nnum_of_process: 1\nactive_service:\n  - {id: 100, service_type: echo}\n")
	for i, in := range formatNames {
		for j, out := range formatNames {
			fmt.Fprintf(&rows, "  - {id: %d, service_type: tcp, name: %s-%s, host: 127.0.0.1, port: 0, message_format_in: %s, message_format_out_id: %d, forward_to: {entity: service, entity_id: 100}}\n",
				1+4*i+j, in, out, in, j+1)
		}
	}
	s := start(t, rows.String())
	for _, in := range formatNames {
		for j, out := range formatNames {
			p := dialPeer(t, s, in+"-"+out, in, out)
			for _, c := range conversions[in] {
				p.sendValue(c.value)
			}
			for _, c := range conversions[in] {
				if c.as[j] == nil {
					continue
				}
				if got := p.receiveValue(); !bytes.Equal(got, c.as[j]) {
					t.Errorf("%s to %s: %q became %q (%x), want %q", in, out, c.value, got, got, c.as[j])
				}
			}
		}
	}
	for _, svc := range s.status().Services { // one value in three formats is no UTF-8, one has a newline
		want := map[string]uint64{"json-text": 1, "msgpack-text": 1, "binary-text": 2}[svc.Name]
		if got := svc.Processes[0].Drops["unsupported"]; got != want {
			t.Errorf("%s: %d drops as unsupported, want %d", svc.Name, got, want)
		}
	}
}

const eachKind = `
active_service:
  - {id: 1, service_type: tcp, name: json, host: 127.0.0.1, port: 0, processes: 1}
  - {id: 2, service_type: tcp, name: long, host: 127.0.0.1, port: 0, processes: 1, framing: length32}
  - {id: 3, service_type: tcp, name: msgpack, host: 127.0.0.1, port: 0, processes: 1, message_format_in: msgpack, message_format_out: msgpack}
  - {id: 4, service_type: tcp, name: text, host: 127.0.0.1, port: 0, processes: 1, message_format_in: text, message_format_out: text,
     forward_to: {entity: room, entity_id: 1}}
  - {id: 5, service_type: tcp, name: longtext, host: 127.0.0.1, port: 0, processes: 1, message_format_in: text, message_format_out: text,
     framing: length32, forward_to: {entity: room, entity_id: 1}}
  - {id: 6, service_type: tcp, name: binary, host: 127.0.0.1, port: 0, processes: 1, message_format_in: binary, message_format_out: binary,
     forward_to: {entity: room, entity_id: 1}}
  - {id: 7, service_type: udp, name: udp, host: 127.0.0.1, port: 0, processes: 1}
`

// onlyClient returns the id of the one client of a service.
func (s *server) onlyClient(service string) uint64 {
	s.t.Helper()
	var clients []manager.ClientStatus
	eventually(s.t, "the client of "+service+" is known", func() bool {
		if err := s.ask("/v1/services/"+service+"/clients", &clients); err != nil {
			s.t.Fatal(err)
		}
		return len(clients) == 1
	})
	return clients[0].ID
}

// TestKindsOfClients writes from clients of each kind to clients of each kind, and
// asks for what a kind cannot carry.
func TestKindsOfClients(t *testing.T) {
	t.Parallel()
	s := start(t, eachKind)
	from := dial(t, "tcp", s.service("json").Address)
	long := dialPeer(t, s, "long", "json", "json")
	long.lengthIn, long.lengthTo = true, true
	pack := dialPeer(t, s, "msgpack", "msgpack", "msgpack")
	text := dialPeer(t, s, "text", "text", "text")
	longText := dialPeer(t, s, "longtext", "text", "text")
	longText.lengthIn, longText.lengthTo = true, true
	bin := dialPeer(t, s, "binary", "binary", "binary")

	long.send([]byte("{\"type\":\"join\",\n\"entity\":\"room\",\"entity_id\":1,\"id\":1}"))
	long.receive()
	pack.send([]byte("\x84\xa4type\xa4join\xa6entity\xa4room\xa9entity_id\x01\xa2id\x07"))
	if joined := pack.receive(); string(msgpackField(t, joined, "type")) != "\xa6joined" || string(msgpackField(t, joined, "id")) != "\x07" {
		t.Errorf("msgpack got %q", joined)
	}
	from.ask(`{"type":"join","entity":"room","entity_id":1,"id":1}`).want(t, "type", "joined")

	for _, c := range []struct {
		from                *peer
		value, json, packed string
	}{
		{text, "line", `"line"`, "\xa4line"},
		{longText, "two\nlines", `"two\nlines"`, "\xa9two\nlines"},
		{bin, "\x00\xff", `{"$b64":"AP8="}`, "\xc4\x02\x00\xff"},
		{long, "[1,\n2]", "[1,\n2]", "\x92\x01\x02"}, // line breaks between tokens come through length32
		{pack, "\x92\x01\xcf\x80\x00\x00\x00\x00\x00\x00\x01", `[1,9223372036854775809]`, "\x92\x01\xcf\x80\x00\x00\x00\x00\x00\x00\x01"},
	} {
		switch c.from {
		case long:
			c.from.send(fmt.Appendf(nil, `{"entity":"room","entity_id":1,"message":%s}`, c.value))
		case pack:
			c.from.send([]byte("\x83\xa6entity\xa4room\xa9entity_id\x01\xa7message" + c.value))
		default:
			c.from.send([]byte(c.value))
		}
		if got := long.receiveValue(); string(got) != c.json {
			t.Errorf("json got %s, want %s", got, c.json)
		}
		if got := pack.receiveValue(); string(got) != c.packed {
			t.Errorf("msgpack got %q, want %q", got, c.packed)
		}
		from.receive().want(t, "type", "message")
	}

	for i, c := range []struct {
		to            *peer
		service       string
		message, want string // want is empty where the answer is code
		code          string
	}{
		{text, "text", `"bare"`, "bare", ""},
		{text, "text", `"a\nb"`, "", "unsupported"},
		{text, "text", `"a\r"`, "", "unsupported"},
		{text, "text", `{"$b64":"/w=="}`, "", "unsupported"},
		{text, "text", `{ "a" : 1 }`, `{"a":1}`, ""},
		{longText, "longtext", `"a\nb"`, "a\nb", ""},
		{bin, "binary", `"a\nb"`, "a\nb", ""},
		{bin, "binary", `{"$b64":"AP8="}`, "\x00\xff", ""},
		{pack, "msgpack", `1e400`, "", "unsupported"},
	} {
		answer := from.ask(fmt.Sprintf(`{"entity":"client","entity_id":%d,"message":%s,"id":%d}`, s.onlyClient(c.service), c.message, i))
		if c.code != "" {
			answer.want(t, "type", "error", "code", c.code, "id", fmt.Sprint(i))
			continue
		}
		answer.want(t, "type", "receipt", "delivered", "1", "id", fmt.Sprint(i))
		if got := c.to.receiveValue(); string(got) != c.want {
			t.Errorf("%s got %q for %s, want %q", c.service, got, c.message, c.want)
		}
	}

	udp := dial(t, "udp", s.service("udp").Address)
	id := udp.whoami()
	from.ask(fmt.Sprintf(`{"entity":"client","entity_id":%s,"message":"%s","id":"big"}`, id, strings.Repeat("x", 66_000))).
		want(t, "type", "error", "code", "too_large", "id", "big")
	from.ask(fmt.Sprintf(`{"entity":"client","entity_id":%s,"message":"%s","id":"fits"}`, id, strings.Repeat("x", 60_000))).
		want(t, "type", "receipt", "id", "fits")
	udp.receive().want(t, "type", "message")
}

// TestMsgpackFromPython speaks msgpack that somebody else's struct.pack wrote.
func TestMsgpackFromPython(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("python3"); err != nil {
		t.Skip("this test needs python3; .ci/run installs it")
	}
	s := start(t, eachKind)
	_, port, err := net.SplitHostPort(s.service("msgpack").Address)
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("python3", "testdata/msgpack_client.py", port).CombinedOutput()
	if err != nil || strings.TrimSpace(string(out)) != "ok" {
		t.Errorf("%v: %s", err, out)
	}
}
