package plugintest_test

import (
	"bufio"
	"fmt"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/antano/antano/plugin/plugintest"
	"github.com/antano/antano/plugin/socket"
	"github.com/antano/antano/shared"
)

func socketService(t shared.Transport) *socket.SocketService {
	return socket.New(socket.Config{Description: shared.Description{
		Name: "test", Version: "1", ServiceType: string(t), Transport: t, CanSend: true,
	}})
}

func dial(t *testing.T, network, address string) net.Conn {
	t.Helper()
	conn, err := net.Dial(network, address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return conn
}

// A TCP client and a peer talk; after a half-close what is owed is still answered.
func TestTCP(t *testing.T) {
	h := plugintest.Start(t, socketService(shared.TransportTCP), shared.ServiceParams{})
	p := h.Peer()
	conn := dial(t, "tcp", h.Address())
	lines := bufio.NewScanner(conn)
	var owed strings.Builder
	for i := range 100 {
		fmt.Fprintf(&owed, `{"entity":"client","entity_id":%d,"message":%d,"id":%d}`+"\n", uint64(p.ID()), i, i)
	}
	fmt.Fprint(conn, owed.String())
	if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	receipts := 0
	for lines.Scan() {
		if lines.Text() != fmt.Sprintf(`{"type":"receipt","id":%d,"delivered":1}`, receipts) {
			t.Fatalf("receipt %d: %s", receipts, lines.Text())
		}
		receipts++
	}
	if receipts != 100 {
		t.Errorf("%d receipts", receipts)
	}
	for i := range 100 {
		if got := p.Next(); !strings.HasSuffix(got, fmt.Sprintf(`"message":%d}`, i)) {
			t.Fatalf("message %d: %s", i, got)
		}
	}
}

// Datagrams over all slots, answered from the address asked.
func TestUDP(t *testing.T) {
	h := plugintest.Start(t, socketService(shared.TransportUDP), shared.ServiceParams{})
	for range 10 {
		conn := dial(t, "udp", h.Address())
		fmt.Fprint(conn, `{"type":"ping","id":1}`)
		b := make([]byte, 100)
		if n, err := conn.Read(b); err != nil || string(b[:n]) != `{"type":"pong","id":1}` {
			t.Errorf("answer %q, %v", b[:n], err)
		}
	}
	if n := h.Clients(); n != 10 {
		t.Errorf("%d clients", n)
	}
}

func TestUnixDatagram(t *testing.T) {
	h := plugintest.Start(t, socketService(shared.TransportUnix), shared.ServiceParams{})
	here := &net.UnixAddr{Name: filepath.Join(filepath.Dir(h.Address()), "me.sock"), Net: "unixgram"}
	conn, err := net.DialUnix("unixgram", here, &net.UnixAddr{Name: h.Address(), Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprint(conn, `{"type":"ping"}`)
	b := make([]byte, 100)
	if n, err := conn.Read(b); err != nil || string(b[:n]) != `{"type":"pong"}` {
		t.Errorf("answer %q, %v", b[:n], err)
	}
}

// A client that never reads: who writes to it directly is held back and then told,
// others are not disturbed.
func TestNeverReads(t *testing.T) {
	params := shared.ServiceParams{Limits: shared.Limits{ClientQueueBytes: 100_000}}
	h := plugintest.Start(t, socketService(shared.TransportTCP), params)
	stuck := dial(t, "tcp", h.Address())
	lines := bufio.NewScanner(stuck)
	fmt.Fprintln(stuck, `{"type":"whoami"}`)
	if !lines.Scan() {
		t.Fatal(lines.Err())
	}
	var id uint64
	if _, err := fmt.Sscanf(lines.Text(), `{"type":"client","entity":"client","entity_id":%d`, &id); err != nil {
		t.Fatalf("%s: %v", lines.Text(), err)
	}
	writer, other := h.Peer(), h.Peer()
	big := strings.Repeat("x", 50_000)
	start := time.Now()
	overloaded := false
	for i := 0; !overloaded && i < 1000; i++ {
		writer.Send(`{"entity":"client","entity_id":%d,"message":"%s","id":%d}`, id, big, i)
		for writer.Pending() > 0 {
			if strings.Contains(writer.Next(), "overloaded") {
				overloaded = true
			}
		}
		before := time.Now()
		other.Send(`{"type":"ping"}`)
		if other.Next(); time.Since(before) > 500*time.Millisecond {
			t.Errorf("another client waited %v", time.Since(before))
		}
	}
	if !overloaded {
		t.Error("nobody is told that the client does not read")
	}
	if took := time.Since(start); took < 900*time.Millisecond {
		t.Errorf("the writer was not held back: %v", took)
	}
}

// A UDP client whose slot is read by another process from now on is no member of its
// groups here any more: there it is a new client, which joins anew.
func TestSlotGoesAway(t *testing.T) {
	h := plugintest.Start(t, socketService(shared.TransportUDP), shared.ServiceParams{})
	conn, p := dial(t, "udp", h.Address()), h.Peer()
	buf := make([]byte, 1<<16)
	ask := func(message string) string {
		t.Helper()
		if _, err := fmt.Fprint(conn, message); err != nil {
			t.Fatal(err)
		}
		n, err := conn.Read(buf)
		if err != nil {
			t.Fatal(err)
		}
		return string(buf[:n])
	}
	const join = `{"type":"join","entity":"room","entity_id":1,"id":1}`
	if got := ask(join); !strings.Contains(got, `"joined"`) {
		t.Fatal(got)
	}
	h.AssignSlots(0)
	if n := h.Clients(); n != 0 {
		t.Errorf("%d clients of slots that another process reads", n)
	}
	p.Send(`{"entity":"room","entity_id":1,"message":"lost","id":1}`)
	if got := p.Next(); !strings.Contains(got, `"no_such_entity"`) {
		t.Error(got)
	}
	h.AssignSlots(^uint64(0))
	if got := ask(join); !strings.Contains(got, `"joined"`) {
		t.Fatal(got)
	}
	p.Send(`{"entity":"room","entity_id":1,"message":"once","id":2}`)
	if got := p.Next(); !strings.Contains(got, `"delivered":1`) {
		t.Error(got)
	}
	if n, err := conn.Read(buf); err != nil || !strings.Contains(string(buf[:n]), `"once"`) {
		t.Errorf("%s, %v", buf[:n], err)
	}
}
