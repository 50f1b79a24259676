package relay

import (
	"context"
	"crypto/subtle"
	"fmt"
	"io"
	"net"
	"syscall"
	"time"

	"github.com/antano/antano/shared"
	"github.com/antano/antano/shared/wire"
)

// family is one launched process group: whose connections may say hello.
type family struct {
	links    int // admitted
	unproven int // connections without a hello
}

// peer is what the kernel says of the other end of a connection.
type peer struct{ pid, pgid, uid int }

// welcome proves the peer of conn and serves its link, or its part in a move, until
// that ends. It does not close a conn that it refuses.
func (r *Router) welcome(ctx context.Context, conn *net.UnixConn) error {
	p, err := peerOf(conn)
	if err != nil {
		return err
	}
	if err := r.greet(p); err != nil {
		return err
	}
	l, first, err := r.prove(ctx, conn, p)
	r.mu.Lock()
	if f := r.families[p.pgid]; f != nil {
		f.unproven--
	}
	r.mu.Unlock()
	if err != nil {
		return fmt.Errorf("relay peer pid %d is refused: %w", p.pid, err)
	}
	if first.transfer && l.isGift(first.Move) {
		return l.receiveSockets(ctx, conn)
	}
	if first.transfer {
		return r.transfer(ctx, conn, l, first.Move)
	}
	sink, err := wire.NewSink(conn)
	if err != nil {
		return err
	}
	return r.attach(ctx, l, unixTransport{sink, conn})
}

func peerOf(conn *net.UnixConn) (peer, error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return peer{}, err
	}
	var cred *syscall.Ucred
	var credErr error
	if err := raw.Control(func(fd uintptr) {
		cred, credErr = syscall.GetsockoptUcred(int(fd), syscall.SOL_SOCKET, syscall.SO_PEERCRED)
	}); err != nil {
		return peer{}, err
	}
	if credErr != nil {
		return peer{}, fmt.Errorf("credentials of a relay peer: %w", credErr)
	}
	if cred.Pid <= 0 { // from outside our pid namespace; 0 would mean ourselves below
		return peer{}, fmt.Errorf("relay peer pid %d is refused: it cannot be seen from here", cred.Pid)
	}
	pgid, err := syscall.Getpgid(int(cred.Pid))
	if err != nil {
		return peer{}, fmt.Errorf("process group of relay peer pid %d: %w", cred.Pid, err)
	}
	return peer{int(cred.Pid), pgid, int(cred.Uid)}, nil
}

// greet refuses peers that were not launched here, and too many at once of one that
// was, before anything is read from them.
func (r *Router) greet(p peer) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	f := r.families[p.pgid]
	switch {
	case f == nil:
		return fmt.Errorf("relay peer pid %d is refused: process group %d was not launched here or has lost its link", p.pid, p.pgid)
	case f.unproven >= maxUnproven:
		return fmt.Errorf("relay peer pid %d is refused: its process group %d has %d connections without a hello", p.pid, p.pgid, f.unproven)
	}
	f.unproven++
	return nil
}

// opening is the first frame of a connection: a hello, or a transfer.
type opening struct {
	wire.Transfer
	transfer bool
	rejoin   bool // the hello says so
}

// prove reads the opening and finds its link. Not a byte more is read before it holds.
func (r *Router) prove(ctx context.Context, conn *net.UnixConn, p peer) (*Link, opening, error) {
	if err := conn.SetReadDeadline(time.Now().Add(helloTime)); err != nil {
		return nil, opening{}, err
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	var o opening
	if err := o.read(conn); err != nil {
		return nil, opening{}, err
	}
	l, err := r.match(&o.Hello, p)
	if err != nil {
		return nil, opening{}, err
	}
	if !o.transfer && l.launch.Adopted != o.rejoin {
		return nil, opening{}, fmt.Errorf("%s is to say rejoin first: %v", l, l.launch.Adopted)
	}
	return l, o, conn.SetReadDeadline(time.Time{})
}

func (o *opening) read(conn io.Reader) error {
	frame := make([]byte, wire.TransferSize)
	if _, err := io.ReadFull(conn, frame[:wire.HeaderSize]); err != nil {
		return fmt.Errorf("its hello did not come: %w", err)
	}
	_, _, size, err := wire.Next(frame[:wire.HeaderSize])
	if err != nil {
		return err
	}
	switch t := wire.Type(frame[wire.HeaderSize-1]); {
	case t == wire.TypeHello && size == wire.HelloSize:
	case t == wire.TypeRejoin && size == wire.HelloSize:
		o.rejoin = true
	case t == wire.TypeTransfer && size == wire.TransferSize:
		o.transfer = true
	default:
		return fmt.Errorf("%w: the first frame is not a hello", wire.ErrFrame)
	}
	if _, err := io.ReadFull(conn, frame[wire.HeaderSize:size]); err != nil {
		return fmt.Errorf("its hello did not come: %w", err)
	}
	if o.transfer {
		return o.Transfer.Parse(frame[wire.HeaderSize:size])
	}
	return o.Hello.Parse(frame[wire.HeaderSize:size])
}

// match finds the expected link that h and p are right for.
func (r *Router) match(h *wire.Hello, p peer) (*Link, error) {
	if h.Version != shared.ProtocolVersion {
		return nil, fmt.Errorf("it speaks version %d of the relay protocol, not %d; rebuild the plugin", h.Version, shared.ProtocolVersion)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	l := r.expected[launchKey{h.Process, h.Generation}]
	switch {
	case l == nil:
		return nil, fmt.Errorf("process %d generation %d is not expected", h.Process, h.Generation)
	case l.pgid != p.pgid:
		return nil, fmt.Errorf("%s is process group %d, not %d", l, l.pgid, p.pgid)
	case l.launch.UID != p.uid:
		return nil, fmt.Errorf("%s runs as uid %d, not %d", l, l.launch.UID, p.uid)
	case subtle.ConstantTimeCompare(h.Secret[:], l.launch.Secret[:]) != 1:
		return nil, fmt.Errorf("the secret of %s is wrong", l)
	}
	return l, nil
}
