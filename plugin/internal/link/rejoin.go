package link

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/antano/antano/shared/wire"
)

// ErrAlone means that the manager is gone and no successor came.
var ErrAlone = errors.New("the manager is gone and has no successor")

const (
	// goneTime is how much later than the link's end that of the manager may be seen.
	goneTime = 200 * time.Millisecond
	// redialSoon is how often a successor is looked for in the first soonTime, redial
	// how often later.
	redialSoon = 10 * time.Millisecond
	soonTime   = 2 * time.Second
	redial     = 20 * time.Millisecond
	// welcomeTime is how long a successor may take for its welcome.
	welcomeTime = 5 * time.Second
)

// Final makes the next loss of the manager the end of the link: there is nothing left
// that a successor could take over.
func (l *Link) Final() { l.final.Store(true) }

// rejoin looks for a successor of the manager that was lost for cause, and returns
// when there is one, else why the link is down. The hub works on meanwhile: what it
// queues waits.
func (l *Link) rejoin(r Receiver, cause error) error {
	if !l.survives(cause) {
		return cause
	}
	planned := l.planned
	l.planned = false
	l.closeConn()
	l.acks.restart()
	l.queue.Detach()
	unread := l.unread(l.acked)
	l.acked = wire.Ack{}
	if !planned && unread > 0 {
		r.OnUnread(unread)
	}
	r.OnLost(planned, l.queue.Waiting)
	replay := r.Replay(l.seq.replay(nil))
	if l.cfg.Assign != nil {
		replay = l.slots.replay(replay)
	}
	replay = wire.AppendEmpty(replay, wire.TypeRejoined)
	sink, fresh, err := l.seek()
	if err != nil {
		l.fail(err)
		r.OnLost(false, func(func(wire.Frame)) {})
		return err
	}
	l.adopted = true
	l.seq.grant(fresh)
	l.queue.Attach(sink, replay)
	l.queue.Flush()
	return nil
}

func (l *Link) closeConn() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.conn.Close()
}

// survives reports whether a loss is that of the manager, which may have a successor,
// and not the link's alone.
func (l *Link) survives(cause error) bool {
	if l.cfg.Window <= 0 || l.final.Load() || l.Err() != nil || errors.Is(cause, wire.ErrFrame) {
		return false
	}
	if l.cfg.Gone == nil || l.planned || l.adopted {
		return true
	}
	timer := time.NewTimer(goneTime)
	defer timer.Stop()
	select {
	case <-l.cfg.Gone:
		return true
	case <-timer.C:
	case <-l.reading.Done():
	}
	return false
}

// seek dials until there is a successor, for at most the window.
func (l *Link) seek() (wire.Sink, wire.Sequences, error) {
	begun := time.Now()
	ctx, cancel := context.WithTimeout(l.reading, l.cfg.Window)
	defer cancel()
	hello := wire.AppendRejoin(nil, &l.cfg.Hello)
	for {
		sink, fresh, err := l.try(ctx, hello)
		if err == nil {
			return sink, fresh, nil
		}
		l.pause(ctx, begun)
		switch {
		case l.reading.Err() != nil:
			return nil, fresh, wire.ErrClosed
		case ctx.Err() != nil:
			return nil, fresh, fmt.Errorf("%w within %v: %w", ErrAlone, l.cfg.Window, err)
		}
	}
}

// pause waits until it is time to dial again, begun being when that began.
func (l *Link) pause(ctx context.Context, begun time.Time) {
	wait := redial
	if time.Since(begun) < soonTime {
		wait = redialSoon
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// try dials once.
func (l *Link) try(ctx context.Context, hello []byte) (wire.Sink, wire.Sequences, error) {
	ctx, cancel := context.WithTimeout(ctx, welcomeTime)
	defer cancel()
	sink, w, err := l.greet(ctx, hello)
	if err == nil && w.Server != l.welcome.Server {
		l.closeConn()
		err = fmt.Errorf("%w: the successor is server %d, not %d", errUnwelcome, w.Server, l.welcome.Server)
	}
	return sink, w.Sequences, err
}

// takeHold obeys a manager that is about to be replaced: nothing that begins
// something is sent any more, then nothing at all.
func (l *Link) takeHold(body []byte) error {
	mode, err := wire.ParseHold(body)
	if err != nil {
		return err
	}
	switch mode {
	case wire.HoldNothing:
		l.planned = false
		l.queue.Release()
	case wire.HoldMessages:
		l.queue.Hold(passesHold)
	default:
		l.planned = true
		l.queue.Hold(func(t wire.Type) bool { return t == wire.TypeHeld })
	}
	return l.Control(func(dst []byte) []byte { return wire.AppendHold(dst, wire.TypeHeld, mode) })
}

// passesHold reports whether a frame ends something, or answers for the process.
func passesHold(t wire.Type) bool {
	switch t {
	case wire.TypeResult, wire.TypeHealthOK, wire.TypeSlotsOK, wire.TypeHeld, wire.TypePause, wire.TypeResume,
		wire.TypePauseSender, wire.TypeResumeSender, wire.TypeAck:
		return true
	}
	return false
}
