package plugintest_test

import (
	"bufio"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/antano/antano/plugin"
	"github.com/antano/antano/plugin/plugintest"
	"github.com/antano/antano/shared"
)

// A socket service is replaced again and again while its clients write to themselves:
// every message has its receipt, comes back once, and in order.
func TestReplaceSockets(t *testing.T) {
	for _, c := range []struct {
		transport shared.Transport
		params    shared.ServiceParams
		network   string
	}{
		{shared.TransportTCP, shared.ServiceParams{}, "tcp"},
		{shared.TransportUnix, shared.ServiceParams{SocketType: "stream"}, "unix"},
		{shared.TransportUDP, shared.ServiceParams{}, "udp"},
	} {
		t.Run(c.network, func(t *testing.T) {
			h := plugintest.Start(t, socketService(c.transport), c.params)
			const clients, messages = 4, 300
			done := make(chan error, clients)
			for i := range clients {
				conn := dial(t, c.network, h.Address())
				conn.SetDeadline(time.Now().Add(20 * time.Second))
				go func() { done <- talk(conn, i, messages) }()
			}
			replaced := 0
			for left := clients; left > 0; {
				select {
				case err := <-done:
					if err != nil {
						t.Error(err)
					}
					left--
				default:
					if replaced < 50 {
						h.Replace(socketService(c.transport))
						replaced++
					} else if err := <-done; err != nil {
						t.Error(err)
						left--
					} else {
						left--
					}
				}
			}
			if replaced == 0 || h.Clients() != clients {
				t.Errorf("replaced %d times, %d clients are left of %d", replaced, h.Clients(), clients)
			}
		})
	}
}

// talk writes numbered messages to a group of its own, a few ahead of what has come back.
func talk(conn net.Conn, group, messages int) error {
	lines := bufio.NewReader(conn)
	next := func() (string, error) {
		if _, isUDP := conn.(*net.UDPConn); !isUDP {
			line, err := lines.ReadString('\n')
			return strings.TrimSuffix(line, "\n"), err
		}
		buf := make([]byte, 1000)
		n, err := conn.Read(buf)
		return string(buf[:n]), err
	}
	if _, err := fmt.Fprintf(conn, `{"type":"join","entity":"room","entity_id":%d,"id":"j"}`+"\n", group); err != nil {
		return err
	}
	if line, err := next(); err != nil || !strings.Contains(line, "joined") {
		return fmt.Errorf("joining: %s, %v", line, err)
	}
	const ahead = 8
	receipts, copies := 0, 0
	owed := map[string]bool{}
	for sent := 0; receipts < messages || copies < messages; {
		for ; sent < messages && sent-min(receipts, copies) < ahead; sent++ {
			if _, err := fmt.Fprintf(conn, `{"entity":"room","entity_id":%d,"message":%d,"id":%d}`+"\n", group, sent, sent); err != nil {
				return err
			}
			owed[fmt.Sprintf(`{"type":"receipt","id":%d,"delivered":1}`, sent)] = true
		}
		line, err := next()
		if err != nil {
			return fmt.Errorf("after %d receipts and %d copies: %w", receipts, copies, err)
		}
		switch {
		case owed[line]: // in any order
			delete(owed, line)
			receipts++
		case strings.HasPrefix(line, `{"type":"message"`) && strings.HasSuffix(line, fmt.Sprintf(`"message":%d}`, copies)):
			copies++
		default:
			return fmt.Errorf("after %d receipts and %d copies: %s", receipts, copies, line)
		}
	}
	return nil
}

var _ plugin.Handover = socketService(shared.TransportTCP)
