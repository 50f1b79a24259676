package link

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/antano/antano/shared/wire"
)

// Receiver takes what arrives on the link. Its methods are called by the one
// reader, must not block, and must not keep what they are given.
type Receiver interface {
	OnMessage(*wire.Message)
	OnResult(*wire.Result)
	OnCredit(wire.Credit)
	// OnPause takes a pause, or a resume when paused is false.
	OnPause(p wire.Pause, paused bool)
	// OnPauseSender is OnPause for the messages of one sender to a service.
	OnPauseSender(p wire.SenderPause, paused bool)
	// OnMoveOut takes the request to hand clients over, OnMove the other frames of a
	// move: TypeMoveIn, TypeMoveCut and TypeMoveAbort.
	OnMoveOut(wire.MoveOut)
	OnMove(t wire.Type, move uint64)
	// OnRestore takes a client that the manager kept, OnMember a group that it is in.
	OnRestore(*wire.Source)
	OnMember(*wire.Member)
	// OnDry is called when all frames that have arrived were handed over: the
	// moment to write what they produced.
	OnDry()
	// OnLost says that the manager is gone. waiting calls its argument with each frame
	// that waits for a successor; what else was sent is not answered any more, unless
	// the change was planned. When no successor comes it is called again, with nothing
	// waiting.
	OnLost(planned bool, waiting func(func(wire.Frame)))
	// OnUnread says that so many messages without a token are lost: they were sent to
	// the manager that is gone, and it had not acknowledged them.
	OnUnread(messages uint64)
	// Replay appends the frames that tell a successor what only its predecessor knew.
	Replay(dst []byte) []byte
}

var (
	errClosed    = errors.New("the manager closed the relay link")
	errUnwelcome = errors.New("wait for welcome")
)

// Config says how to dial and what to do with what the manager asks.
type Config struct {
	Socket     string // path of the relay socket
	Hello      wire.Hello
	QueueBytes int           // bound of the outbound queue
	Health     func() string // what fails, or ""; must not block
	// Assign reads exactly these slots and returns when the others are not read
	// any more; nil when the service reads none. It is called from one goroutine.
	Assign func(slots uint64) error
	// Give begins to give a successor of the manager what was inherited, over a transfer
	// connection for the given move; it must not block. Nil: there is nothing.
	Give func(move uint64)
	// Window is how long to look for a successor when the manager is gone; 0: not at
	// all.
	Window time.Duration
	// Gone is closed when the manager is gone: a link that it closed before is not
	// looked after. Nil when nothing tells.
	Gone <-chan struct{}
}

// Link is the relay link to a manager and its successors.
type Link struct {
	cfg     Config
	reader  *wire.Reader // of the reading goroutine alone
	queue   *wire.Queue
	welcome wire.Welcome
	seq     sequences
	slots   slots

	ctx      context.Context // ends with the link
	cancel   context.CancelFunc
	reading  context.Context // ends before the link does, when no more is to be read
	halt     context.CancelFunc
	wg       sync.WaitGroup // of all but the next two
	serving  sync.WaitGroup
	assigner sync.WaitGroup
	down     chan struct{}
	planned  bool        // of the reading goroutine: the manager said that it goes
	final    atomic.Bool // a loss is the end
	adopted  bool        // of the reading goroutine: it has rejoined
	acks     acks
	acked    wire.Ack // of the reading goroutine: by this manager
	// sentBefore is how many messages without a token former managers were sent. Of the
	// reading goroutine.
	sentBefore uint64

	mu   sync.Mutex // guards what follows
	conn *net.UnixConn
	err  error // why it is down
}

// Dial connects, proves the process and waits for the manager's welcome. Run starts
// the traffic. ctx bounds the dialling alone.
func Dial(ctx context.Context, cfg Config) (*Link, error) {
	l := &Link{cfg: cfg, down: make(chan struct{})}
	l.ctx, l.cancel = context.WithCancel(context.Background())
	l.reading, l.halt = context.WithCancel(l.ctx)
	sink, welcome, err := l.greet(ctx, wire.AppendHello(nil, &cfg.Hello))
	if err != nil {
		l.cancel()
		return nil, err
	}
	l.welcome = welcome
	l.queue = wire.NewQueue(sink, cfg.QueueBytes, nil)
	l.queue.Survive()
	l.seq.init(cfg.Hello.Process, l.welcome.Sequences)
	l.slots.init()
	l.acks.init()
	return l, nil
}

// greet opens a connection with the given first frame and reads the welcome.
func (l *Link) greet(ctx context.Context, first []byte) (wire.Sink, wire.Welcome, error) {
	var d net.Dialer
	var welcome wire.Welcome
	c, err := d.DialContext(ctx, "unix", l.cfg.Socket)
	if err != nil {
		return nil, welcome, fmt.Errorf("dial relay socket %s: %w", l.cfg.Socket, err)
	}
	conn := c.(*net.UnixConn)
	reader := wire.NewReader(conn)
	sink, err := wire.NewSink(conn)
	if err == nil {
		welcome, err = l.prove(ctx, conn, reader, first)
	}
	if err == nil {
		err = l.hold(conn)
	}
	if err != nil {
		conn.Close()
		return nil, welcome, fmt.Errorf("relay socket %s: %w", l.cfg.Socket, err)
	}
	l.reader = reader
	return sink, welcome, nil
}

func (l *Link) prove(ctx context.Context, conn *net.UnixConn, reader *wire.Reader, first []byte) (welcome wire.Welcome, err error) {
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	if _, err := conn.Write(first); err != nil {
		return welcome, fmt.Errorf("say hello: %w", err)
	}
	f, err := reader.Next()
	if err != nil {
		return welcome, fmt.Errorf("%w (was the secret right?): %w", errUnwelcome, errors.Join(err, ctx.Err()))
	}
	if f.Type != wire.TypeWelcome {
		return welcome, fmt.Errorf("wait for welcome: got frame type %d", f.Type)
	}
	if err := welcome.Parse(f.Body); err != nil {
		return welcome, fmt.Errorf("read welcome: %w", err)
	}
	if welcome.Version != l.cfg.Hello.Version {
		return welcome, fmt.Errorf("the manager speaks version %d of the relay protocol, this plugin %d",
			welcome.Version, l.cfg.Hello.Version)
	}
	if !stop() {
		return welcome, ctx.Err()
	}
	return welcome, nil
}

// Welcome is what the first manager granted.
func (l *Link) Welcome() wire.Welcome { return l.welcome }

// Run starts the link's goroutines.
func (l *Link) Run(r Receiver) {
	l.serving.Go(func() { l.serve(r) })
	l.wg.Go(func() {
		if err := l.queue.Run(l.ctx); err != nil {
			l.fail(fmt.Errorf("write relay link: %w", err))
		}
	})
	l.wg.Go(l.acknowledge)
	if l.cfg.Assign != nil {
		l.assigner.Go(l.assignSlots)
	}
}

// serve reads the link, and those to the manager's successors, until it is down or no
// more is to be read.
func (l *Link) serve(r Receiver) {
	for {
		err := l.read(r)
		if l.reading.Err() == nil {
			err = l.rejoin(r, err)
		}
		if l.reading.Err() != nil {
			return
		}
		if err != nil {
			l.fail(err)
			return
		}
	}
}

// Down is closed when the link is gone; Err then says why.
func (l *Link) Down() <-chan struct{} { return l.down }

// Err is why the link is down, nil while it is up.
func (l *Link) Err() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.err
}

// Close ends the link and returns when its goroutines are gone. What was read is
// acknowledged before.
func (l *Link) Close() {
	l.mu.Lock()
	l.halt()
	_ = l.conn.SetReadDeadline(time.Unix(1, 0))
	l.mu.Unlock()
	l.serving.Wait()
	l.ack()
	l.fail(wire.ErrClosed)
	l.wg.Wait()
	l.assigner.Wait()
}

// fail closes the link; the first cause is kept.
func (l *Link) fail(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err != nil {
		return
	}
	l.err = err
	l.cancel()
	l.queue.Close(wire.ErrClosed)
	l.conn.Close()
	close(l.down)
}

// hold makes conn the one that is read, and that fail closes.
func (l *Link) hold(conn *net.UnixConn) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err != nil {
		return l.err
	}
	if err := l.reading.Err(); err != nil {
		return err
	}
	l.conn = conn
	return nil
}

func (l *Link) read(r Receiver) error {
	var in inbound
	for {
		f, err := l.reader.Next()
		if err != nil {
			l.acks.note(in.read)
		}
		if errors.Is(err, io.EOF) {
			return errClosed
		}
		if err != nil {
			return fmt.Errorf("read relay link: %w", err)
		}
		if err := l.take(r, &in, f); err != nil {
			return err
		}
		if l.reader.Dry() {
			r.OnDry()
			l.acks.note(in.read)
			l.Flush()
		}
	}
}
