package link

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"

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
	// OnDry is called when all frames that have arrived were handed over: the
	// moment to write what they produced.
	OnDry()
}

// Config says how to dial and what to do with what the manager asks.
type Config struct {
	Socket     string // path of the relay socket
	Hello      wire.Hello
	QueueBytes int           // bound of the outbound queue
	Health     func() string // what fails, or ""; must not block
	// Assign reads exactly these slots and returns when the others are not read
	// any more; nil when the service reads none. It is called from one goroutine.
	Assign func(slots uint64) error
}

// Link is one relay link.
type Link struct {
	cfg     Config
	conn    *net.UnixConn
	reader  *wire.Reader
	queue   *wire.Queue
	welcome wire.Welcome
	seq     sequences
	slots   slots

	wg       sync.WaitGroup
	assigner sync.WaitGroup
	once     sync.Once
	err      error
	down     chan struct{}
}

// Dial connects, proves the process and waits for the manager's welcome. Run starts
// the traffic. ctx bounds the dialling alone.
func Dial(ctx context.Context, cfg Config) (*Link, error) {
	var d net.Dialer
	c, err := d.DialContext(ctx, "unix", cfg.Socket)
	if err != nil {
		return nil, fmt.Errorf("dial relay socket %s: %w", cfg.Socket, err)
	}
	conn := c.(*net.UnixConn)
	l, err := open(ctx, conn, cfg)
	if err != nil {
		conn.Close()
		return nil, fmt.Errorf("relay socket %s: %w", cfg.Socket, err)
	}
	return l, nil
}

func open(ctx context.Context, conn *net.UnixConn, cfg Config) (*Link, error) {
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	if _, err := conn.Write(wire.AppendHello(nil, &cfg.Hello)); err != nil {
		return nil, fmt.Errorf("say hello: %w", err)
	}
	l := &Link{cfg: cfg, conn: conn, reader: wire.NewReader(conn), down: make(chan struct{})}
	f, err := l.reader.Next()
	if err != nil {
		return nil, fmt.Errorf("wait for welcome (was the secret right?): %w", errors.Join(err, ctx.Err()))
	}
	if f.Type != wire.TypeWelcome {
		return nil, fmt.Errorf("wait for welcome: got frame type %d", f.Type)
	}
	if err := l.welcome.Parse(f.Body); err != nil {
		return nil, fmt.Errorf("read welcome: %w", err)
	}
	if l.welcome.Version != cfg.Hello.Version {
		return nil, fmt.Errorf("the manager speaks version %d of the relay protocol, this plugin %d",
			l.welcome.Version, cfg.Hello.Version)
	}
	if !stop() {
		return nil, ctx.Err()
	}
	sink, err := wire.NewSink(conn)
	if err != nil {
		return nil, err
	}
	l.queue = wire.NewQueue(sink, cfg.QueueBytes, nil)
	l.seq.init(l.welcome.Sequences)
	l.slots.init()
	return l, nil
}

// Welcome is what the manager granted.
func (l *Link) Welcome() wire.Welcome { return l.welcome }

// Run starts the link's goroutines.
func (l *Link) Run(r Receiver) {
	ctx, cancel := context.WithCancel(context.Background())
	l.wg.Go(func() {
		defer cancel()
		l.fail(l.read(r))
	})
	l.wg.Go(func() {
		if err := l.queue.Run(ctx); err != nil {
			l.fail(fmt.Errorf("write relay link: %w", err))
		}
	})
	if l.cfg.Assign != nil {
		l.assigner.Go(l.assignSlots)
	}
}

// Down is closed when the link is gone; Err then says why.
func (l *Link) Down() <-chan struct{} { return l.down }

// Err is why the link is down, nil while it is up.
func (l *Link) Err() error {
	select {
	case <-l.down:
		return l.err
	default:
		return nil
	}
}

// Close ends the link and returns when its goroutines are gone.
func (l *Link) Close() {
	l.fail(wire.ErrClosed)
	l.wg.Wait()
	l.assigner.Wait()
}

// fail closes the link; the first cause is kept.
func (l *Link) fail(err error) {
	l.once.Do(func() {
		l.err = err
		l.queue.Close(wire.ErrClosed)
		l.conn.Close()
		close(l.down)
	})
}

func (l *Link) read(r Receiver) error {
	var in inbound
	for {
		f, err := l.reader.Next()
		if errors.Is(err, io.EOF) {
			return errors.New("the manager closed the relay link")
		}
		if err != nil {
			return fmt.Errorf("read relay link: %w", err)
		}
		if err := l.take(r, &in, f); err != nil {
			return err
		}
		if l.reader.Dry() {
			r.OnDry()
			l.Flush()
		}
	}
}
