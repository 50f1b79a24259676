package load

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"strings"
	"testing"
)

func TestMessageCountsUp(t *testing.T) {
	m := newMessage(Target{Network: "tcp"}, "client", 35188667056129, 128, true)
	if len(m.bytes) != 129 || len(m.numbers) != 2 {
		t.Fatalf("%d bytes, numbers at %v: %s", len(m.bytes), m.numbers, m.bytes)
	}
	for range 1009 {
		m.next()
	}
	var o struct {
		Entity   string `json:"entity"`
		EntityID int64  `json:"entity_id"`
		Message  string `json:"message"`
		ID       string `json:"id"`
	}
	if err := json.Unmarshal(m.bytes, &o); err != nil {
		t.Fatal(err)
	}
	if o.ID != "0000001009" || !strings.HasPrefix(o.Message, o.ID+"x") || o.Entity != "client" || o.EntityID != 35188667056129 {
		t.Errorf("it is %+v", o)
	}
	if n := m.number(m.bytes); n != 1009 {
		t.Errorf("its number is %d", n)
	}
}

func TestMessageAddressesGroups(t *testing.T) {
	m := newMessage(Target{Network: "unix"}, groupEntity, firstGroup, 0, false)
	m.setGroup(987654)
	m.next()
	if want := `{"entity":"bench","entity_id":1000987654,"message":"0000000001"}` + "\n"; string(m.bytes) != want {
		t.Errorf("it is %s, want %s", m.bytes, want)
	}
}

func TestPackedMessage(t *testing.T) {
	b := packedMessage("bench", 5, zero)
	want := "\x83\xa6entity\xa5bench\xa9entity_id\xcf\x00\x00\x00\x00\x00\x00\x00\x05\xa7message\xda\x00\x0a" + zero
	if int(binary.BigEndian.Uint32(b)) != len(b)-4 || string(b[4:]) != want {
		t.Errorf("it is %q, want %q", b, want)
	}
}

// TestExpect tells what may arrive from what may not.
func TestExpect(t *testing.T) {
	frame := func(n int) []byte {
		m := message{bytes: []byte(`{"message":"` + zero + `"}`)}
		m.find()
		m.setNumber(n)
		return m.bytes
	}
	for name, c := range map[string]struct {
		datagrams bool
		frames    [][]byte
		ok        bool
	}{
		"in order":                  {false, [][]byte{frame(1), frame(2), frame(3)}, true},
		"a gap":                     {false, [][]byte{frame(1), frame(3)}, false},
		"a gap between datagrams":   {true, [][]byte{frame(1), frame(3), frame(4)}, true},
		"twice":                     {false, [][]byte{frame(1), frame(1)}, false},
		"a datagram twice":          {true, [][]byte{frame(2), frame(2)}, false},
		"datagrams in other order":  {true, [][]byte{frame(2), frame(1)}, false},
		"something else":            {true, [][]byte{bytes.Repeat([]byte("9"), len(frame(1)))}, false},
		"something shorter":         {true, [][]byte{[]byte("{}")}, false},
		"something else, same size": {false, [][]byte{bytes.ToUpper(frame(1))}, false},
	} {
		r := &receiver{gaps: c.datagrams, in: message{bytes: frame(0)}}
		r.in.find()
		var err error
		for _, f := range c.frames {
			if err == nil {
				err = r.expect(f)
			}
		}
		if (err == nil) != c.ok {
			t.Errorf("%s: %v", name, err)
		}
	}
}
