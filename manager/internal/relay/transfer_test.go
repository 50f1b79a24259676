package relay

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/antano/antano/shared"
	"github.com/antano/antano/shared/wire"
)

func descriptors(t *testing.T) int {
	t.Helper()
	all, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(all)
}

// pollDescriptors waits until no more descriptors are open than there should be.
func pollDescriptors(t *testing.T, want int) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for descriptors(t) > want {
		if time.Now().After(deadline) {
			t.Fatalf("%d descriptors, want %d", descriptors(t), want)
		}
		time.Sleep(time.Millisecond)
	}
}

// sendFile writes p with a descriptor of a file that holds p on its first byte.
func sendFile(t *testing.T, conn *net.UnixConn, p []byte) {
	f, err := os.CreateTemp(t.TempDir(), "")
	if err != nil {
		t.Error(err)
		return
	}
	defer f.Close()
	f.Write(p)
	n, _, err := conn.WriteMsgUnix(p, unix.UnixRights(int(f.Fd())), nil)
	if err == nil {
		_, err = conn.Write(p[n:])
	}
	if err != nil {
		t.Error(err)
	}
}

// receiveAll reads to the end: the bytes, and with each descriptor how many bytes
// were there before.
func receiveAll(t *testing.T, conn *net.UnixConn) (all []byte, files [][]byte, at []int) {
	buf, oob := make([]byte, 1000), make([]byte, 1000)
	for {
		n, oobn, _, _, err := conn.ReadMsgUnix(buf, oob)
		if n == 0 {
			if err != nil && !errors.Is(err, io.EOF) {
				t.Error(err)
			}
			return all, files, at
		}
		fds, err := received(oob[:oobn], 0)
		if err != nil {
			t.Error(err)
		}
		for _, fd := range fds {
			f := os.NewFile(uintptr(fd), "")
			b, err := io.ReadAll(io.NewSectionReader(f, 0, 1<<20))
			if err != nil {
				t.Error(err)
			}
			f.Close()
			files, at = append(files, b), append(at, len(all))
		}
		all = append(all, buf[:n]...)
	}
}

// TestTransferPumps: bytes and descriptors arrive as they were sent, both ways, and
// none is left in the manager.
func TestTransferPumps(t *testing.T) {
	g, a, b, _ := town(t, Config{})
	h := g.moving(t.Context(), a, b, Scope{All: true})
	h.paired()
	before := descriptors(t)
	type side struct {
		all   []byte
		files [][]byte
		at    []int
	}
	results := [2]chan side{make(chan side, 1), make(chan side, 1)}
	for i, conn := range h.conns {
		go func() {
			all, files, at := receiveAll(t, conn)
			results[i] <- side{all, files, at}
		}()
	}
	var sent [2][]byte
	var starts [2][]int
	const records = 200
	for i := range records {
		for s, conn := range h.conns {
			record := bytes.Repeat([]byte{byte(i), byte(s)}, 1+i*i%3000)
			starts[s] = append(starts[s], len(sent[s]))
			sent[s] = append(sent[s], record...)
			sendFile(t, conn, record)
			if i%3 == 0 { // and some without one
				sent[s] = append(sent[s], record...)
				conn.Write(record)
			}
		}
	}
	h.step("in ready")
	h.step("out ready")
	if err := <-h.done; err != nil {
		t.Fatal(err)
	}
	for _, conn := range h.conns {
		conn.CloseWrite()
	}
	for s := range results {
		got := <-results[1-s]
		if !bytes.Equal(got.all, sent[s]) || len(got.files) != records {
			t.Fatalf("%d of %d bytes, %d of %d descriptors", len(got.all), len(sent[s]), len(got.files), records)
		}
		for i, file := range got.files {
			if start := starts[s][i]; got.at[i] > start || !bytes.HasPrefix(sent[s][start:], file) {
				t.Fatalf("descriptor %d came behind byte %d, its record starts at %d", i, got.at[i], start)
			}
		}
	}
	h.over()
	pollDescriptors(t, before-2) // the manager's two ends
}

// TestTransferOfTooMany: more descriptors at once than there is room for break the
// transfer and are all closed.
func TestTransferOfTooMany(t *testing.T) {
	g, a, b, c := town(t, Config{})
	h := g.moving(t.Context(), a, b, Scope{All: true})
	h.paired()
	before := descriptors(t)
	rights := make([]int, 100) // stdin, again and again
	if _, _, err := h.conns[sideOut].WriteMsgUnix([]byte{1}, unix.UnixRights(rights...), nil); err != nil {
		t.Fatal(err)
	}
	if err := <-h.done; err == nil {
		t.Error("moved")
	}
	a.next(wire.TypeMoveAbort)
	b.next(wire.TypeMoveAbort)
	pollDescriptors(t, before-2)
	c.send(c.to(wire.KindClient, a.client(0), 1))
	c.answerOf(a)
	c.wantResult(1, shared.CodeNone)
}

// TestEndAfterTheCut: whichever process ends after the cut, the other one gets what it
// had sent, learns of the end, and is free for the next move.
func TestEndAfterTheCut(t *testing.T) {
	for _, end := range []int{sideOut, sideIn} {
		g, a, b, c := town(t, Config{})
		h := g.moving(t.Context(), a, b, Scope{All: true})
		h.cut()
		c.send(c.to(wire.KindClient, a.client(0), 1))
		b.message()
		h.conns[end].Write([]byte("last words"))
		h.conns[end].Close()
		ended, other := a, b
		if end == sideIn {
			ended, other = b, a
		}
		ended.conn.Close()
		<-ended.link.Down()
		got, err := io.ReadAll(h.conns[1-end])
		if err != nil || string(got) != "last words" {
			t.Errorf("%q, %v", got, err)
		}
		h.conns[1-end].Close()
		h.over()
		if other.link.move != nil {
			t.Error("the other is not free")
		}
		if end == sideIn {
			c.wantResult(1, shared.CodeProcessLost)
			c.send(c.to(wire.KindClient, a.client(0), 2))
			c.wantResult(2, shared.CodeNoSuchEntity)
		} else {
			c.send(c.to(wire.KindClient, a.client(0), 2))
			b.message()
		}
	}
}
