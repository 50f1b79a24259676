package transfer

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"reflect"
	"testing"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"github.com/antano/antano/shared"
	"github.com/antano/antano/shared/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// pair is two ends of a connection.
func pair(t *testing.T) (a, b *Conn) {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	ends := make([]*Conn, 2)
	for i, fd := range fds {
		f := os.NewFile(uintptr(fd), "pair")
		conn, err := net.FileConn(f)
		f.Close()
		if err != nil {
			t.Fatal(err)
		}
		ends[i] = New(conn.(*net.UnixConn))
		t.Cleanup(func() { ends[i].Close(); ends[i].Discard() })
	}
	return ends[0], ends[1]
}

// next reads one record of the given type.
func next(t *testing.T, c *Conn, want Type) []byte {
	t.Helper()
	r, err := c.Next()
	if err != nil || r.Type != want {
		t.Fatalf("record %d, %v; want type %d", r.Type, err, want)
	}
	return r.Body
}

func TestRecords(t *testing.T) {
	a, b := pair(t)
	client := Client{ID: 7, Connected: 1, Received: -2, MessagesIn: 3, MessagesOut: 4, Address: "127.0.0.1:9", State: []byte("state"),
		Groups: []shared.Address{{Entity: "room", ID: -1}, {Entity: "user", ID: 2}}}
	late := Late{Client: 9, Framed: []byte("pong\n")}
	ending := End{wire.ScopeSlots, 12, []wire.Range{{Process: 3, Sequences: wire.Sequences{First: 1, Count: 2}}, {Process: 4, Sequences: wire.Sequences{First: 5, Count: 6}}}}
	busy := []Sender{{wire.KindClient, 5}, {wire.KindService, -6}}
	a.Put(-1, func(dst []byte) []byte { return AppendClient(dst, &client) })
	a.Put(-1, func(dst []byte) []byte { return AppendEnd(dst, &ending) })
	a.Put(-1, func(dst []byte) []byte { return AppendLate(dst, &late) })
	a.Put(-1, func(dst []byte) []byte { return AppendIdle(dst, busy) })
	a.Put(-1, func(dst []byte) []byte { return AppendEnded(dst, Ended{77, shared.CodeTooLarge}) })
	a.Put(-1, AppendDone)
	a.Finish()

	var gotClient Client
	if err := gotClient.Parse(next(t, b, TypeClient)); err != nil || !reflect.DeepEqual(gotClient, client) {
		t.Errorf("client %+v, %v", gotClient, err)
	}
	if n := len(AppendClient(nil, &client)); n != client.Size() {
		t.Errorf("client has %d bytes, said %d", n, client.Size())
	}
	var e End
	if err := e.Parse(next(t, b, TypeEnd)); err != nil || !reflect.DeepEqual(e, ending) {
		t.Errorf("end %+v, %v", e, err)
	}
	var gotLate Late
	if err := gotLate.Parse(next(t, b, TypeLate)); err != nil || !reflect.DeepEqual(gotLate, late) {
		t.Errorf("late %+v, %v", gotLate, err)
	}
	if got, err := ParseIdle(next(t, b, TypeIdle)); err != nil || !reflect.DeepEqual(got, busy) {
		t.Errorf("idle %+v, %v", got, err)
	}
	var ended Ended
	if err := ended.Parse(next(t, b, TypeEnded)); err != nil || ended != (Ended{77, shared.CodeTooLarge}) {
		t.Errorf("ended %+v, %v", ended, err)
	}
	next(t, b, TypeDone)
	if _, err := b.Next(); err != io.EOF {
		t.Errorf("after the end: %v", err)
	}
	if err := a.Put(-1, AppendDone); !errors.Is(err, ErrClosed) {
		t.Errorf("put after finish: %v", err)
	}
}

// Output of any size comes in pieces of bounded records.
func TestRest(t *testing.T) {
	for _, size := range []int{0, 1, pieceSize, pieceSize + 1, 5 * pieceSize} {
		a, b := pair(t)
		big := bytes.Repeat([]byte("x"), size)
		want := Rest{Client: 3, Last: true, Budget: 7, Paused: []uint16{4, 5}, Pieces: []Piece{{Item: 1, Bytes: []byte("first")}, {Answer: true, Bytes: big}, {Item: 2, Bytes: []byte("last")}}}
		a.Put(-1, func(dst []byte) []byte { return AppendRest(dst, &want) })
		got := Rest{Client: 3}
		for !got.Last {
			body := next(t, b, TypeRest)
			if len(body) > 2*pieceSize {
				t.Errorf("record of %d bytes", len(body))
			}
			var r Rest
			if err := r.Parse(body); err != nil {
				t.Fatal(err)
			}
			for _, p := range r.Pieces {
				if last := len(got.Pieces) - 1; last >= 0 && got.Pieces[last].Continues {
					got.Pieces[last].Bytes = append(got.Pieces[last].Bytes, p.Bytes...)
					got.Pieces[last].Continues = p.Continues
					continue
				}
				p.Bytes = bytes.Clone(p.Bytes)
				got.Pieces = append(got.Pieces, p)
			}
			got.Last, got.Budget, got.Paused = r.Last, r.Budget, r.Paused
		}
		if got.Budget != 7 || !reflect.DeepEqual(got.Paused, want.Paused) {
			t.Errorf("paused %d for %d ms", got.Paused, got.Budget)
		}
		if len(got.Pieces) != 3 || !bytes.Equal(got.Pieces[1].Bytes, big) || !got.Pieces[1].Answer || got.Pieces[2].Item != 2 || string(got.Pieces[0].Bytes) != "first" {
			t.Errorf("size %d: came as %d pieces", size, len(got.Pieces))
		}
	}
}

// Descriptors come with their records, in order, and none is left open.
func TestDescriptors(t *testing.T) {
	a, b := pair(t)
	var pipes []*os.File
	const n = 300
	for i := range n {
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		pipes = append(pipes, r)
		fd, err := unix.FcntlInt(w.Fd(), unix.F_DUPFD_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		w.Close()
		v := Client{Descriptor: true, ID: shared.ClientID(i)}
		a.Put(fd, func(dst []byte) []byte { return AppendClient(dst, &v) })
		a.Put(-1, func(dst []byte) []byte { return AppendLate(dst, &Late{Client: v.ID, Framed: make([]byte, 100*i)}) })
	}
	for i := range n {
		next(t, b, TypeClient)
		fd, err := b.TakeFD()
		if err != nil {
			t.Fatal(err)
		}
		if flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err != nil || flags&unix.FD_CLOEXEC == 0 {
			t.Errorf("descriptor %d: flags %d, %v", i, flags, err)
		}
		unix.Write(fd, []byte{byte(i)})
		unix.Close(fd)
		got, err := io.ReadAll(pipes[i]) // ends: no other descriptor is open
		if err != nil || !bytes.Equal(got, []byte{byte(i)}) {
			t.Errorf("through descriptor %d came %v, %v", i, got, err)
		}
		pipes[i].Close()
		next(t, b, TypeLate)
	}
	if _, err := b.TakeFD(); !errors.Is(err, ErrRecord) {
		t.Errorf("a descriptor more: %v", err)
	}
}

// Descriptors that nobody took are closed with the connection, at either end.
func TestDescriptorsOfClosed(t *testing.T) {
	a, b := pair(t)
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		fd, err := unix.FcntlInt(w.Fd(), unix.F_DUPFD_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		a.Put(fd, AppendDone)
	}
	w.Close()
	next(t, b, TypeDone)
	a.Close()
	b.Close()
	b.Discard()
	if _, err := io.ReadAll(r); err != nil {
		t.Error(err)
	}
	fd, _ := unix.FcntlInt(r.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	if err := a.Put(fd, AppendDone); !errors.Is(err, ErrClosed) {
		t.Errorf("put after close: %v", err)
	}
	if _, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err != unix.EBADF {
		t.Errorf("the descriptor of a failed put: %v", err)
	}
	r.Close()
}

// Who puts more than the other end reads waits for room, and learns of the end.
func TestRoom(t *testing.T) {
	a, b := pair(t)
	big := Late{Client: 1, Framed: make([]byte, crowdedBytes)}
	for range 3 {
		a.Put(-1, func(dst []byte) []byte { return AppendLate(dst, &big) })
	}
	free := make(chan error, 1)
	go func() { free <- a.Room(t.Context()) }()
	for range 3 {
		next(t, b, TypeLate)
	}
	if err := <-free; err != nil {
		t.Errorf("room: %v", err)
	}
	for range 3 {
		a.Put(-1, func(dst []byte) []byte { return AppendLate(dst, &big) })
	}
	go func() { free <- a.Room(t.Context()) }()
	a.Abort()
	if err := <-free; err == nil {
		t.Error("room on a closed connection")
	}
}

// Descriptors that wait to be written are bounded, too: a process with many clients could run
// out of them.
func TestRoomForDescriptors(t *testing.T) {
	a, b := pair(t)
	stuck := Late{Client: 1, Framed: make([]byte, crowdedBytes/2)} // more than the socket takes
	a.Put(-1, func(dst []byte) []byte { return AppendLate(dst, &stuck) })
	client := Client{Descriptor: true, ID: 1}
	for range crowdedFDs {
		if err := a.Room(t.Context()); err != nil {
			t.Fatal(err)
		}
		fd, err := unix.MemfdCreate("given", unix.MFD_CLOEXEC)
		if err != nil {
			t.Fatal(err)
		}
		if err := a.Put(fd, func(dst []byte) []byte { return AppendClient(dst, &client) }); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := a.Room(ctx); err == nil {
		t.Errorf("there is room while %d descriptors wait", crowdedFDs)
	}
	next(t, b, TypeLate)
	for range crowdedFDs {
		next(t, b, TypeClient)
		fd, err := b.TakeFD()
		if err != nil {
			t.Fatal(err)
		}
		unix.Close(fd)
	}
	if err := a.Room(t.Context()); err != nil {
		t.Error(err)
	}
}

func FuzzRecord(f *testing.F) {
	f.Add(AppendClient(nil, &Client{ID: 1, Address: "a", Groups: []shared.Address{{Entity: "room", ID: 1}}, State: []byte("s")}))
	f.Add(AppendRest(nil, &Rest{Client: 1, Last: true, Pieces: []Piece{{Item: 1, Bytes: []byte("x")}}}))
	f.Add(AppendIdle(nil, []Sender{{wire.KindClient, 1}}))
	f.Add(AppendEnd(nil, &End{Scope: wire.ScopeAll, Count: 1}))
	f.Add(AppendEnded(nil, Ended{1, 2}))
	f.Add(AppendLate(nil, &Late{1, []byte("x")}))
	f.Fuzz(func(t *testing.T, b []byte) {
		rec, n, err := split(b)
		if err != nil || n == 0 {
			return
		}
		same := func(again []byte) {
			if !bytes.Equal(again, b[:n]) {
				t.Errorf("record % x was parsed and became % x", b[:n], again)
			}
		}
		var client Client
		var rest Rest
		var e End
		var late Late
		var ended Ended
		switch rec.Type {
		case TypeClient:
			if client.Parse(rec.Body) == nil && len(client.Address) <= maxAddress {
				same(AppendClient(nil, &client))
			}
		case TypeRest:
			rest.Parse(rec.Body)
		case TypeEnd:
			if e.Parse(rec.Body) == nil {
				same(AppendEnd(nil, &e))
			}
		case TypeLate:
			if late.Parse(rec.Body) == nil {
				same(AppendLate(nil, &late))
			}
		case TypeEnded:
			if ended.Parse(rec.Body) == nil {
				same(AppendEnded(nil, ended))
			}
		case TypeIdle:
			if busy, err := ParseIdle(rec.Body); err == nil {
				same(AppendIdle(nil, busy))
			}
		}
	})
}
