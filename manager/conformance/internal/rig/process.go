package rig

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/antano/antano/manager/conformance/internal/script"
	"github.com/antano/antano/manager/internal/event"
	"github.com/antano/antano/manager/internal/launch"
	"github.com/antano/antano/manager/internal/logs"
	"github.com/antano/antano/shared"
	"github.com/antano/antano/shared/wire"
)

// Process is one start of the plugin.
type Process struct {
	*launch.Process
	Link  *script.Link // after Serve
	Hello wire.Hello   // that it has to say
	Dir   string       // its own, with the FIFOs of its output

	rig      *Rig
	tail     logs.Tail
	lifeline int // our end, -1 when cut
	deaf     chan struct{}
	request  launch.Request
}

// Option changes how a process is started.
type Option func(*options)

type options struct {
	generation int
	bare       bool // no sockets
	deaf       bool
	window     time.Duration
	credit     uint32
	sequences  uint32
}

// Generation is which start this is.
func Generation(n int) Option { return func(o *options) { o.generation = n } }

// Bare gives the process no sockets, as one that is only asked to describe itself.
func Bare() Option { return func(o *options) { o.bare = true } }

// Deaf does not read what the process prints before Listen is called.
func Deaf() Option { return func(o *options) { o.deaf = true } }

// Adoption is how long the process is to serve on without a manager.
func Adoption(d time.Duration) Option { return func(o *options) { o.window = d } }

// Credit is the window of each lane, in bytes.
func Credit(bytes uint32) Option { return func(o *options) { o.credit = bytes } }

// Grant is how many sequences the process gets at a time.
func Grant(n uint32) Option { return func(o *options) { o.sequences = n } }

// Launch starts a process up to its handshake.
func (r *Rig) Launch(ctx context.Context, opts ...Option) (p *Process, err error) {
	o := gather(opts)
	r.mu.Lock()
	n := len(r.procs)
	p = &Process{rig: r, lifeline: -1, Dir: filepath.Join(r.dir, fmt.Sprint("p", n)), deaf: make(chan struct{})}
	r.procs = append(r.procs, p)
	r.mu.Unlock()
	if !o.deaf {
		close(p.deaf)
	}
	if err := os.Mkdir(p.Dir, 0o700); err != nil {
		return nil, err
	}
	var ends [2]int
	if err := unix.Pipe2(ends[:], unix.O_CLOEXEC|unix.O_NONBLOCK); err != nil {
		return nil, fmt.Errorf("make a lifeline: %w", err)
	}
	defer unix.Close(ends[0])
	p.lifeline = ends[1]
	var files []launch.File
	if !o.bare {
		files = r.files()
	}
	p.prepare(&o)
	p.Process, err = launch.Start(ctx, launch.Spec{
		Path: r.Path, Binary: r.Binary, Dir: p.Dir, Files: append(files, launch.File{Name: "lifeline", FD: ends[0]}),
		StartTimeout: r.Timeout, Stdout: p.discard, Stderr: p.keep,
	})
	return p, err
}

func gather(opts []Option) options {
	o := options{generation: 1, credit: Window, sequences: Sequences}
	for _, set := range opts {
		set(&o)
	}
	return o
}

// prepare decides what the process is told.
func (p *Process) prepare(o *options) {
	p.Hello = wire.Hello{Version: shared.ProtocolVersion, Process: ProcessID, Generation: uint32(o.generation)}
	_, _ = rand.Read(p.Hello.Secret[:]) // never fails
	p.request = launch.Request{
		Identity: shared.Identity{ServerID: ServerID, ServiceID: p.rig.Params.ID, ProcessID: ProcessID, Generation: o.generation, Service: p.rig.Params.Name},
		Params:   p.rig.Params, RelaySocket: p.rig.Manager.Path(), Secret: p.Hello.Secret,
		ShareRow: p.row(), ShareRows: rows, PushBack: pushBack, HandlerTimeout: handler, AdoptionWindow: o.window,
	}
}

// row is that of the share page: the two generations of one process take turns.
func (p *Process) row() int { return int(p.Hello.Generation+1) % rows }

// Request is what Start tells the process.
func (p *Process) Request() launch.Request { return p.request }

// Row is what the process wrote into the share page.
func (p *Process) Row() (serving bool, clients, in, out uint64) {
	c := p.rig.Page.Snapshot(p.row())
	return c.Serving, c.Clients, c.MessagesIn, c.MessagesOut
}

// Starting is a Start under way.
type Starting struct {
	done chan struct{}
	err  error
}

// Begin sends Start.
func (p *Process) Begin(ctx context.Context) *Starting {
	s := &Starting{done: make(chan struct{})}
	go func() {
		s.err = p.Process.Start(ctx, p.request)
		close(s.done)
	}()
	return s
}

// Answered reports whether Start was answered.
func (s *Starting) Answered() bool {
	select {
	case <-s.done:
		return true
	default:
		return false
	}
}

// Wait waits for the answer.
func (s *Starting) Wait(ctx context.Context) error {
	select {
	case <-s.done:
		return s.err
	case <-ctx.Done():
		return fmt.Errorf("no answer to Start came: %w", context.Cause(ctx))
	}
}

// lateLink is how long the relay link may come after the answer to Start, for somebody
// who wants to say what is wrong then.
const lateLink = time.Second

// Meet waits for the relay link of the process.
func (p *Process) Meet(ctx context.Context, s *Starting) (*script.Link, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	go func() {
		select {
		case <-s.done:
		case <-ctx.Done():
			return
		}
		if s.err != nil {
			cancel(s.err)
			return
		}
		timer := time.NewTimer(lateLink)
		defer timer.Stop()
		select {
		case <-timer.C:
			cancel(errors.New("the answer to Start came without it"))
		case <-ctx.Done():
		}
	}()
	return p.rig.Manager.Next(ctx)
}

// Serve starts the service as a manager does, up to the point where clients can come.
func (r *Rig) Serve(ctx context.Context, opts ...Option) (*Process, error) {
	o := gather(opts)
	p, err := r.Launch(ctx, opts...)
	if err != nil {
		return nil, err
	}
	starting := p.Begin(ctx)
	if p.Link, err = p.Meet(ctx, starting); err != nil {
		return nil, fmt.Errorf("start the service: %w", err)
	}
	if err := p.Link.Welcome(ServerID, o.sequences, o.credit); err != nil {
		return nil, err
	}
	if err := starting.Wait(ctx); err != nil {
		return nil, fmt.Errorf("start the service: %w", err)
	}
	if slots := r.Slots(); slots != 0 {
		return p, p.Link.Slots(ctx, slots)
	}
	return p, nil
}

// CutLifeline tells the process that the manager is gone.
func (p *Process) CutLifeline() {
	if p.lifeline >= 0 {
		_ = unix.Close(p.lifeline)
		p.lifeline = -1
	}
}

// Listen reads what a deaf process has printed and prints.
func (p *Process) Listen() {
	select {
	case <-p.deaf:
	default:
		close(p.deaf)
	}
}

// Ended waits for the exit of the process.
func (p *Process) Ended(ctx context.Context) (event.Exit, error) {
	select {
	case <-p.Done():
		p.rig.Page.Clear(p.row())
		return p.Exit(), nil
	case <-ctx.Done():
		return event.Exit{}, fmt.Errorf("the process did not end: %w", context.Cause(ctx))
	}
}

// Running reports whether the process has not ended.
func (p *Process) Running() bool {
	select {
	case <-p.Done():
		return false
	default:
		return true
	}
}

// Said are the last lines on stderr.
func (p *Process) Said() []string {
	if text := p.tail.Panic(); text != "" {
		return []string{text}
	}
	lines := p.tail.Lines()
	return lines[max(0, len(lines)-3):]
}

// Said is what the processes printed last, as the end of a sentence.
func (r *Rig) Said() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var all []string
	for _, p := range r.procs {
		all = append(all, p.Said()...)
	}
	if len(all) == 0 {
		return ""
	}
	return "; it printed: " + strings.Join(all, " | ")
}

func (p *Process) keep(r io.Reader) {
	<-p.deaf
	_ = logs.Read(r, logs.Options{Emit: func(logs.Record) {}, Tail: &p.tail})
}

func (p *Process) discard(r io.Reader) {
	<-p.deaf
	_, _ = io.Copy(io.Discard, r)
}

// close ends the process and everything of it.
func (p *Process) close() error {
	p.Listen()
	p.CutLifeline()
	if p.Process == nil {
		return nil
	}
	return p.Process.Close()
}
