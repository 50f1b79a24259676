package socket

import (
	"bytes"
	"os/exec"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/antano/antano/plugin"
)

// Clients that others wrote.
func TestForeignClients(t *testing.T) {
	tcp, tcpAddr := listenTCP(t)
	stream, streamPath := listenUnix(t, unix.SOCK_STREAM)
	packet, packetPath := listenUnix(t, unix.SOCK_SEQPACKET)
	dgram, dgramPath := listenUnix(t, unix.SOCK_DGRAM)
	udp, udpAddr := listenSlots(t, 1, loopback)
	const python = `
import socket, sys
s = socket.socket(socket.AF_UNIX, getattr(socket, "SOCK_" + sys.argv[1]))
s.settimeout(10)
s.bind("")
s.connect(sys.argv[2])
s.send(sys.stdin.buffer.read())
sys.stdout.write(s.recv(100).decode())
`
	for _, c := range []struct {
		name    string
		sock    plugin.Socket
		in, out string
		command []string
	}{
		{"socat tcp", tcp, "a\r\nb\n", "a\nb\n", []string{"socat", "-t", "10", "-", "TCP:" + tcpAddr}},
		{"socat unix", stream, "a\nb\n", "a\nb\n", []string{"socat", "-t", "10", "-", "UNIX-CONNECT:" + streamPath}},
		{"nc tcp", tcp, "a\n", "a\n", append([]string{"nc", "-N"}, splitAddr(tcpAddr)...)},
		{"socat udp", udp[0], "a", "a", []string{"socat", "-t", "0.5", "-", "UDP:" + udpAddr}},
		{"python seqpacket", packet, "a\nb", "a\nb", []string{"python3", "-c", python, "SEQPACKET", packetPath}},
		{"python dgram", dgram, "a\nb", "a\nb", []string{"python3", "-c", python, "DGRAM", dgramPath}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, err := exec.LookPath(c.command[0]); err != nil {
				t.Skip(err)
			}
			h := newFakeHost([]plugin.Socket{c.sock})
			s := serve(t, h, Config{})
			if err := s.AssignSlots(1); err != nil {
				t.Fatal(err)
			}
			cmd := exec.CommandContext(t.Context(), c.command[0], c.command[1:]...)
			cmd.Stdin = bytes.NewReader([]byte(c.in))
			out, err := cmd.CombinedOutput()
			if err != nil || string(out) != c.out {
				t.Fatalf("got %q, %v; want %q", out, err, c.out)
			}
		})
	}
}

func splitAddr(addr string) []string {
	i := strings.LastIndexByte(addr, ':')
	return []string{addr[:i], addr[i+1:]}
}
