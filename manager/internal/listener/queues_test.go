package listener

import (
	"net"
	"path/filepath"
	"testing"
)

// TestAcceptQueue counts connections that nobody accepts.
func TestAcceptQueue(t *testing.T) {
	tcp, err := Bind(0, "127.0.0.1", TCP, 7)
	if err != nil {
		t.Fatal(err)
	}
	defer tcp.Close()
	path := filepath.Join(t.TempDir(), "s")
	local, err := BindUnixSocket(path, 0o600, "stream", 7)
	if err != nil {
		t.Fatal(err)
	}
	defer local.Close()
	for _, c := range []struct {
		network string
		g       *Group
	}{{"tcp", tcp}, {"unix", local}} {
		for range 3 {
			conn, err := net.Dial(c.network, c.g.Address())
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
		}
		q := c.g.Queues()
		if len(q) != 1 || q[0].Name != c.network || q[0].Sockets != 1 || q[0].Drops != -1 || q[0].ReceiveBytes != -1 {
			t.Fatalf("%s: %+v", c.network, q)
		}
		if c.network == "unix" && q[0].AcceptQueue == -1 {
			t.Log("this kernel does not tell the queue of a unix socket")
			continue
		}
		if q[0].AcceptQueue != 3 || q[0].AcceptLimit != 7 {
			t.Errorf("%s: %d of %d connections wait, want 3 of 7", c.network, q[0].AcceptQueue, q[0].AcceptLimit)
		}
	}
	tcp.Close()
	if q := tcp.Queues(); len(q) != 0 {
		t.Errorf("after Close: %+v", q)
	}
}

// TestReceiveQueue counts datagrams that nobody reads, over all slots, and what does
// not fit.
func TestReceiveQueue(t *testing.T) {
	g, err := Bind(0, "127.0.0.1", UDP, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	conn, err := net.Dial("udp", g.Address())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	look := func() Queue {
		q := g.Queues()
		if len(q) != 1 || q[0].Name != "slots" || q[0].Sockets != Slots || q[0].AcceptQueue != -1 {
			t.Fatalf("%+v", q)
		}
		return q[0]
	}
	if q := look(); q.ReceiveBytes != 0 || q.Drops != 0 || q.ReceiveLimit < Slots*4096 {
		t.Errorf("before anything is sent: %+v", q)
	}
	datagram := make([]byte, 60_000)
	for n := 0; look().Drops == 0; n++ {
		if n > 10_000 {
			t.Fatal("nothing is dropped")
		}
		if _, err := conn.Write(datagram); err != nil {
			t.Fatal(err)
		}
	}
	if q := look(); q.ReceiveBytes < len(datagram) {
		t.Errorf("after a flood: %+v", q)
	}
}

// FuzzDiagAnswer reads what a kernel would not say.
func FuzzDiagAnswer(f *testing.F) {
	f.Add(diagRequest(1))
	f.Fuzz(func(t *testing.T, b []byte) { _, _, _ = diagAnswer(b) })
}
