package load

import (
	"bufio"
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"time"
)

// listen answers every line of a connection with what reply makes of it.
func listen(t *testing.T, reply func(line string) string) Target {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				for in := bufio.NewScanner(c); in.Scan(); {
					if _, err := c.Write([]byte(reply(in.Text()))); err != nil {
						return
					}
				}
			}()
		}
	}()
	return Target{Network: "tcp", Address: l.Addr().String()}
}

func TestPingCounts(t *testing.T) {
	to := listen(t, func(string) string { return pingAnswer + "\n" })
	r, err := Ping{Connections: 3, Depth: 4, Length: 20 * time.Millisecond}.Run(t.Context(), to)
	if err != nil || r.Count < 12 || r.Count%4 != 0 || r.PerSecond <= 0 || r.P50 <= 0 || r.P99 < r.P50 {
		t.Errorf("%+v, %v", r, err)
	}
}

func TestPingMindsTheAnswer(t *testing.T) {
	to := listen(t, func(string) string { return strings.Replace(pingAnswer, "o", "u", 1) + "\n" })
	if _, err := (Ping{Connections: 2, Depth: 2, Length: time.Minute}).Run(t.Context(), to); err == nil || !strings.Contains(err.Error(), "pung") {
		t.Errorf("the error is %v", err)
	}
}

func TestPingCountsLostDatagrams(t *testing.T) {
	c, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	go func() { // answers every second datagram
		buf := make([]byte, 100)
		for n := 0; ; n++ {
			_, from, err := c.ReadFrom(buf)
			if err != nil {
				return
			}
			if n%2 == 0 {
				_, _ = c.WriteTo([]byte(pingAnswer), from)
			}
		}
	}()
	conns, err := dialAll(t.Context(), Target{Network: "udp", Address: c.LocalAddr().String()}, 1)
	if err != nil {
		t.Fatal(err)
	}
	defer closeAll(conns)
	l := Ping{Depth: 2, Request: pingRequest, Answer: pingAnswer}.loop(Target{Network: "udp"}, conns[0], time.Time{})
	if err := conns[0].SetReadDeadline(time.Now().Add(50 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	if n, err := l.burst(); n != 1 || err != nil {
		t.Errorf("%d answers, %v", n, err)
	}
}

func TestPingEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	to := listen(t, func(string) string { cancel(); return "" })
	if _, err := (Ping{Connections: 1, Depth: 1, Length: time.Minute}).Run(ctx, to); !errors.Is(err, context.Canceled) {
		t.Errorf("the error is %v", err)
	}
}
