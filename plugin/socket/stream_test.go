package socket

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/antano/antano/plugin"
	"github.com/antano/antano/shared"
)

func write(t *testing.T, c net.Conn, s string) {
	t.Helper()
	if _, err := io.WriteString(c, s); err != nil {
		t.Fatal(err)
	}
}

func expect(t *testing.T, r io.Reader, want string) {
	t.Helper()
	got := make([]byte, len(want))
	if n, err := io.ReadFull(r, got); err != nil || string(got) != want {
		t.Fatalf("got %.200q, %v; want %.200q", got[:n], err, want)
	}
}

func TestLinesComeBackInOrder(t *testing.T) {
	for _, network := range []string{"tcp", "unix"} {
		t.Run(network, func(t *testing.T) {
			sock, addr := listenTCP(t)
			if network == "unix" {
				sock, addr = listenUnix(t, unix.SOCK_STREAM)
			}
			h := newFakeHost([]plugin.Socket{sock})
			serve(t, h, Config{})
			c := dial(t, network, addr)
			write(t, c, "{\"a\":1}\n{\"a\":2}\r\n\n\r\n{\"a\"")
			expect(t, c, "{\"a\":1}\n{\"a\":2}\n")
			for _, b := range []string{":", "3", "}", "\n"} {
				write(t, c, b)
			}
			expect(t, c, "{\"a\":3}\n")
			c.Close()
			if c := next(t, h.ended); c.cause != nil {
				t.Fatalf("an orderly end has the cause %v", c.cause)
			}
		})
	}
}

// More input than one read takes comes back whole: when nothing follows it, when the end
// does, and when many pieces do.
func TestInputOfManyPieces(t *testing.T) {
	line := strings.Repeat("x", 31) + "\n"
	for name, pieces := range map[string]int{"one": 1, "two": 2, "as many as are taken at once": maxInputs, "more": 3*maxInputs + 1} {
		t.Run(name, func(t *testing.T) {
			sock, addr := listenUnix(t, unix.SOCK_STREAM)
			h := newFakeHost([]plugin.Socket{sock})
			serve(t, h, Config{})
			c := dial(t, "unix", addr)
			in := strings.Repeat(line, pieces*readSize/len(line))
			for range 2 {
				go io.WriteString(c, in)
				expect(t, c, in) // without anything behind it
			}
			go func() {
				io.WriteString(c, in)
				c.(*net.UnixConn).CloseWrite()
			}()
			expect(t, c, in)
			if n, err := c.Read(make([]byte, 1)); err != io.EOF {
				t.Errorf("at the end: %d bytes, %v", n, err)
			}
		})
	}
}

func TestLength32(t *testing.T) {
	sock, addr := listenTCP(t)
	h := newFakeHost([]plugin.Socket{sock})
	h.params.MessageFormatIn, h.params.MessageFormatOut = shared.FormatBinary, shared.FormatBinary
	serve(t, h, Config{})
	c := dial(t, "tcp", addr)
	big := strings.Repeat("x", 500_000)
	in := frame32("one") + frame32("") + frame32(big) + frame32("two")
	go io.WriteString(c, in)
	expect(t, c, frame32("one")+frame32(big)+frame32("two"))
}

func frame32(s string) string {
	return string(binary.BigEndian.AppendUint32(nil, uint32(len(s)))) + s
}

func TestOversizedIsSkippedAndConnectionLives(t *testing.T) {
	sock, addr := listenTCP(t)
	h := newFakeHost([]plugin.Socket{sock})
	h.params.Limits.MaxMessageBytes = 100
	serve(t, h, Config{})
	c := dial(t, "tcp", addr)
	go func() {
		for range 1000 {
			io.WriteString(c, strings.Repeat("y", 1000))
		}
		io.WriteString(c, "\nafter\n")
	}()
	expect(t, c, "{\"type\":\"error\",\"code\":\"too_large\"}\nafter\n")
	if got := next(t, h.opened).all(); len(got) != 1 {
		t.Fatalf("received %d messages, want 1", len(got))
	}
}

func TestAbsurdLengthClosesWithAnswer(t *testing.T) {
	sock, addr := listenTCP(t)
	h := newFakeHost([]plugin.Socket{sock})
	h.params.FramingIn = shared.FramingLength32
	serve(t, h, Config{})
	c := dial(t, "tcp", addr)
	write(t, c, "GET / HTTP/1.1\r\n\r\n"+strings.Repeat("z", 100_000))
	got, err := io.ReadAll(c)
	if err != nil || string(got) != "{\"type\":\"error\",\"code\":\"too_large\"}\n" {
		t.Fatalf("got %q, %v", got, err)
	}
	if c := next(t, h.ended); !errors.Is(c.cause, errAbsurdLength) {
		t.Fatalf("cause %v", c.cause)
	}
}

func TestHalfCloseIsAnsweredFirst(t *testing.T) {
	for _, network := range []string{"tcp", "unix"} {
		t.Run(network, func(t *testing.T) {
			sock, addr := listenTCP(t)
			if network == "unix" {
				sock, addr = listenUnix(t, unix.SOCK_STREAM)
			}
			h := newFakeHost([]plugin.Socket{sock})
			got := make(chan *fakeClient, 1)
			h.receive = func(c *fakeClient, p []byte) error {
				c.owed.Add(1)
				got <- c
				return nil
			}
			serve(t, h, Config{})
			c := dial(t, network, addr)
			write(t, c, "ask\nunfinished")
			c.(interface{ CloseWrite() error }).CloseWrite()
			client := next(t, got)
			expect(t, c, "{\"type\":\"error\",\"code\":\"bad_message\"}\n")
			client.Send([]byte("answer"))
			client.Flush()
			client.owed.Add(-1)
			expect(t, c, "answer\n")
			if _, err := c.Read(make([]byte, 1)); err != io.EOF {
				t.Fatalf("read: %v, want EOF", err)
			}
		})
	}
}

func TestGonePeerIsNotWaitedFor(t *testing.T) {
	sock, addr := listenUnix(t, unix.SOCK_STREAM)
	h := newFakeHost([]plugin.Socket{sock})
	h.receive = func(c *fakeClient, p []byte) error { c.owed.Add(1); return nil }
	serve(t, h, Config{})
	c := dial(t, "unix", addr)
	write(t, c, "ask\n")
	client := next(t, h.opened)
	until(t, "message received", func() bool { return len(client.all()) == 1 })
	start := time.Now()
	c.Close()
	next(t, h.ended)
	if d := time.Since(start); d > answerTime/2 {
		t.Fatalf("a closed connection was kept for %s", d)
	}
}

func TestMaxClientsIsAnswered(t *testing.T) {
	for _, network := range []string{"tcp", "unixpacket"} {
		t.Run(network, func(t *testing.T) {
			sock, addr := listenTCP(t)
			want := "overloaded"
			if network == "unixpacket" {
				sock, addr = listenUnix(t, unix.SOCK_SEQPACKET)
			}
			h := newFakeHost([]plugin.Socket{sock})
			h.params.Limits.MaxClients = 1
			serve(t, h, Config{})
			first := dial(t, network, addr)
			next(t, h.opened)
			second := dial(t, network, addr)
			write(t, second, strings.Repeat("sent before reading", 100))
			buf := make([]byte, 1000)
			n, err := second.Read(buf)
			if err != nil || !bytes.Contains(buf[:n], []byte(want)) {
				t.Fatalf("got %q, %v", buf[:n], err)
			}
			if n, err := second.Read(buf); err != io.EOF && n != 0 {
				t.Fatalf("not closed: %d, %v", n, err)
			}
			if h.dropped(shared.CodeOverloaded) != 1 {
				t.Fatal("not counted")
			}
			write(t, first, "alive\n")
			n, _ = first.Read(buf)
			if !strings.HasPrefix(string(buf[:n]), "alive") {
				t.Fatalf("first got %q", buf[:n])
			}
		})
	}
}

func TestSeqpacket(t *testing.T) {
	sock, addr := listenUnix(t, unix.SOCK_SEQPACKET)
	h := newFakeHost([]plugin.Socket{sock})
	h.params.Limits.MaxMessageBytes = 40_000
	serve(t, h, Config{})
	c := dial(t, "unixpacket", addr)
	fd, _ := c.(*net.UnixConn).SyscallConn()
	empty := func() {
		fd.Control(func(fd uintptr) { unix.SendmsgN(int(fd), nil, nil, nil, 0) })
	}
	buf := make([]byte, 1<<17)
	for _, m := range []string{"one\ntwo", strings.Repeat("b", 40_000)} {
		empty()
		write(t, c, m)
		if n, err := c.Read(buf); err != nil || string(buf[:n]) != m {
			t.Fatalf("got %.20q (%d), %v", buf[:n], n, err)
		}
	}
	write(t, c, strings.Repeat("c", 40_001))
	if n, _ := c.Read(buf); !bytes.Contains(buf[:n], []byte("too_large")) {
		t.Fatalf("got %q", buf[:n])
	}
	empty()
	empty()
	write(t, c, "last")
	c.(*net.UnixConn).CloseWrite()
	if n, _ := c.Read(buf); string(buf[:n]) != "last" {
		t.Fatalf("got %q", buf[:n])
	}
	if c := next(t, h.ended); c.cause != nil {
		t.Fatalf("cause %v", c.cause)
	}
}

func TestSeqpacketMaxFrameIsWhatTheSocketCarries(t *testing.T) {
	sock, addr := listenUnix(t, unix.SOCK_SEQPACKET)
	h := newFakeHost([]plugin.Socket{sock})
	serve(t, h, Config{})
	c := dial(t, "unixpacket", addr)
	client := next(t, h.opened)
	if n, err := client.w.Write([][]byte{make([]byte, h.config.MaxFrame)}, true); err != nil || n != h.config.MaxFrame {
		t.Fatalf("MaxFrame %d: wrote %d, %v", h.config.MaxFrame, n, err)
	}
	if n, err := io.ReadAtLeast(c, make([]byte, 1<<20), 1); n != h.config.MaxFrame {
		t.Fatalf("read %d, %v", n, err)
	}
	n, err := client.w.Write([][]byte{[]byte("ok"), make([]byte, h.config.MaxFrame+1), []byte("no")}, true)
	if e, ok := errors.AsType[*shared.Error](err); n != 2 || !ok || e.Code != shared.CodeTooLarge {
		t.Fatalf("wrote %d, %v", n, err)
	}
}

func TestWriteWithoutWaiting(t *testing.T) {
	sock, addr := listenTCP(t)
	h := newFakeHost([]plugin.Socket{sock})
	serve(t, h, Config{})
	c := dial(t, "tcp", addr)
	w := next(t, h.opened).w
	var messages [][]byte
	var all []byte
	for i := range 3000 {
		m := bytes.Repeat([]byte{byte(i)}, i*3)
		messages, all = append(messages, m), append(all, m...)
	}
	n, err := w.Write(messages, false)
	if !errors.Is(err, plugin.ErrWouldBlock) || n <= 0 || n >= len(all) {
		t.Fatalf("wrote %d of %d, %v", n, len(all), err)
	}
	rest := n
	for rest >= len(messages[0]) {
		rest -= len(messages[0])
		messages = messages[1:]
	}
	messages[0] = messages[0][rest:]
	wrote := make(chan error, 1)
	go func() {
		m, err := w.Write(messages, true)
		if err == nil && n+m != len(all) {
			err = fmt.Errorf("wrote %d+%d of %d", n, m, len(all))
		}
		wrote <- err
	}()
	got := make([]byte, len(all))
	if _, err := io.ReadFull(c, got); err != nil || !bytes.Equal(got, all) {
		t.Fatal("not what was written", err)
	}
	if err := <-wrote; err != nil {
		t.Fatal(err)
	}
	// Close ends a Write that waits.
	go func() {
		_, err := w.Write([][]byte{make([]byte, 64<<20)}, true)
		wrote <- err
	}()
	if _, err := io.ReadFull(c, got[:1]); err != nil {
		t.Fatal(err)
	}
	w.Close()
	if err := <-wrote; err == nil {
		t.Fatal("Write ended without an error")
	}
}

func TestIdleTimeoutOfStreams(t *testing.T) {
	sock, addr := listenTCP(t)
	h := newFakeHost([]plugin.Socket{sock})
	h.params.Limits.IdleTimeout = 50 * time.Millisecond
	serve(t, h, Config{})
	dial(t, "tcp", addr)
	if c := next(t, h.ended); !errors.Is(c.cause, errIdle) {
		t.Fatalf("cause %v", c.cause)
	}
}

func TestOnReceivedMessage(t *testing.T) {
	sock, addr := listenTCP(t)
	h := newFakeHost([]plugin.Socket{sock})
	s := serve(t, h, Config{OnReceivedMessage: func(_ context.Context, m []byte, address string, _ plugin.Client) ([]byte, error) {
		switch string(m) {
		case "panic":
			panic("at the author's")
		case "denied":
			return nil, shared.Errorf(shared.CodeDenied, "no")
		case "silent":
			return nil, nil
		}
		return []byte(strings.ToUpper(string(m))), nil
	}})
	c := dial(t, "tcp", addr)
	write(t, c, "one\npanic\nsilent\ndenied\ntwo\n")
	r := bufio.NewReader(c)
	for _, want := range []string{"ONE", "unsupported", "denied", "TWO"} {
		if line, err := r.ReadString('\n'); !strings.Contains(line, want) {
			t.Fatalf("got %q, %v; want %s", line, err, want)
		}
	}
	client := next(t, h.opened)
	if err := s.SendMessage([]byte("sent"), "", client, false); err != nil {
		t.Fatal(err)
	}
	client.Flush()
	if line, _ := r.ReadString('\n'); line != "sent\n" {
		t.Fatalf("got %q", line)
	}
	for _, err := range []error{
		s.SendMessage([]byte{0xff}, "", client, false),
		s.SendMessage([]byte("x"), "127.0.0.1:1", nil, false),
	} {
		if _, ok := errors.AsType[*shared.Error](err); !ok {
			t.Fatalf("got %v, want a *shared.Error", err)
		}
	}
	if r, err := s.PassThroughMessage(t.Context(), "room", 7, shared.AnyProcess, "x"); err != nil || r.Delivered != 7 {
		t.Fatalf("got %v, %v", r, err)
	}
}
