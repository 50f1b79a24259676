package hub

import (
	"context"
	"net"
	"os"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/antano/antano/plugin/internal/transfer"
	"github.com/antano/antano/shared"
	"github.com/antano/antano/shared/wire"
)

// ends are two ends of a transfer connection.
func ends(t *testing.T) (near, far *transfer.Conn) {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	var conns [2]*transfer.Conn
	for i, fd := range fds {
		f := os.NewFile(uintptr(fd), "transfer")
		c, err := net.FileConn(f)
		f.Close()
		if err != nil {
			t.Fatal(err)
		}
		conns[i] = transfer.New(c.(*net.UnixConn))
		t.Cleanup(conns[i].Close)
	}
	return conns[0], conns[1]
}

// arrival is a hub that takes clients from a process which the test plays.
type arrival struct {
	*fixture
	transport *transport
	far       *transfer.Conn
}

func newArrival(t *testing.T, clients int) *arrival {
	t.Helper()
	near, far := ends(t)
	a := &arrival{far: far, transport: &transport{world: &world{t: t}, lines: map[*Client]*attachment{}}}
	a.fixture = newFixture(t, func(cfg *Config) {
		cfg.Transport = a.transport
		cfg.Dial = func(context.Context, uint64) (*transfer.Conn, error) { return near, nil }
	})
	a.transport.endpoint = a.json
	for i := range clients {
		c := &conn{sink: &sink{room: -1, changed: make(chan struct{})}, key: i, in: make(chan string, 10), news: make(chan struct{}, 1)}
		a.transport.world.conns = append(a.transport.world.conns, c)
	}
	a.relay.do(func() { a.OnMove(wire.TypeMoveIn, 1) })
	return a
}

// put sends a record as the other process.
func (a *arrival) put(encode func([]byte) []byte) { a.far.Put(-1, encode) }

func (a *arrival) client(i int) {
	v := transfer.Client{ID: shared.ClientID(100 + i), Groups: []shared.Address{{Entity: "room", ID: 1}}, State: []byte{0, 0, 0, byte(i)}}
	a.put(func(dst []byte) []byte { return transfer.AppendClient(dst, &v) })
}

func (a *arrival) end(n int) {
	a.put(func(dst []byte) []byte {
		return transfer.AppendEnd(dst, &transfer.End{Scope: wire.ScopeAll, Count: uint32(n)})
	})
}

// rest sends the last output of a client: one item with a number.
func (a *arrival) rest(i int) {
	r := transfer.Rest{Client: shared.ClientID(100 + i), Last: true, Pieces: []transfer.Piece{{Item: 7, Bytes: []byte("rest\n")}}}
	a.put(func(dst []byte) []byte { return transfer.AppendRest(dst, &r) })
}

func (a *arrival) decide(verdict wire.Type) { a.relay.do(func() { a.OnMove(verdict, 1) }) }

// pollMoves waits until the hub has told the manager of the move, as often as that.
func (a *arrival) pollMoves(want ...string) {
	a.t.Helper()
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		got := read(a.relay, &a.relay.moves)
		if slices.Equal(got, want) {
			return
		}
		if time.Now().After(deadline) {
			a.t.Fatalf("the manager was told %q, want %q", got, want)
		}
	}
}

// pollOver waits until the move is over, and returns how many clients there are then.
func (a *arrival) pollOver() int {
	a.t.Helper()
	for deadline := time.Now().Add(10 * time.Second); a.moves.len() > 0; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			a.t.Fatal("the move does not end")
		}
	}
	return len(a.Rows())
}

func (a *arrival) finish() {
	a.close()
	a.transport.wait()
}

// When the old process is lost after the cut, who has got all stays; the others end.
func TestArriveHalf(t *testing.T) {
	a := newArrival(t, 2)
	defer a.finish()
	a.client(0)
	a.client(1)
	a.end(2)
	a.pollMoves("move ready")
	if n := len(a.Rows()); n != 0 {
		t.Errorf("%d clients are awake before the cut", n)
	}
	a.decide(wire.TypeMoveCut)
	a.rest(0)
	rec, err := a.far.Next()
	var e transfer.Ended
	if err != nil || rec.Type != transfer.TypeEnded || e.Parse(rec.Body) != nil || e != (transfer.Ended{Item: 7}) {
		t.Errorf("record %d, %+v, %v", rec.Type, e, err)
	}
	a.far.Close()
	if n := a.pollOver(); n != 1 {
		t.Errorf("%d clients", n)
	}
	if got := a.transport.world.conns[0].take(); !slices.Equal(got, []string{"rest"}) {
		t.Errorf("client got %q", got)
	}
}

// What a process that cannot be trusted sends makes no clients, and the manager is told.
func TestArriveNonsense(t *testing.T) {
	for name, send := range map[string]func(a *arrival){
		"fewer than said":  func(a *arrival) { a.client(0); a.end(2) },
		"one twice":        func(a *arrival) { a.client(0); a.client(0); a.end(2) },
		"rest before all":  func(a *arrival) { a.rest(0) },
		"a body cut short": func(a *arrival) { a.put(func(dst []byte) []byte { return append(dst, 0, 0, 0, 2, 1, 0) }) },
		"no such record":   func(a *arrival) { a.put(func(dst []byte) []byte { return append(dst, 0, 0, 0, 1, 99) }) },
		"the end of it":    func(a *arrival) { a.client(0); a.far.Finish() },
		"a descriptor short": func(a *arrival) {
			v := transfer.Client{ID: 100, Descriptor: true, State: []byte{0, 0, 0, 0}}
			a.put(func(dst []byte) []byte { return transfer.AppendClient(dst, &v) })
		},
	} {
		t.Run(name, func(t *testing.T) {
			a := newArrival(t, 2)
			defer a.finish()
			send(a)
			a.pollMoves("move abort")
			if n := a.pollOver(); n != 0 {
				t.Errorf("%d clients", n)
			}
		})
	}
}

// An abort of the manager is obeyed at any time before the cut.
func TestArriveAborted(t *testing.T) {
	for _, ready := range []bool{false, true} {
		a := newArrival(t, 1)
		a.client(0)
		want := "move abort"
		if ready {
			a.end(1)
			want = "move ready"
			a.pollMoves(want)
		}
		a.decide(wire.TypeMoveAbort)
		a.pollMoves(want)
		if n := a.pollOver(); n != 0 {
			t.Errorf("%d clients", n)
		}
		a.finish()
	}
}
