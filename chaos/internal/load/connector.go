package load

import (
	"context"
	"fmt"
	"time"
)

const (
	connectEvery = 15 * time.Millisecond
	pongTimeout  = 10 * time.Second
)

// connector connects to a stream service, pings once and goes, again and again.
type connector struct {
	fleet   *Fleet
	service Service
}

func (c *connector) run(ctx context.Context) {
	for ctx.Err() == nil {
		c.visit(ctx)
		pause(ctx, connectEvery)
	}
}

// visit is one connection.
func (c *connector) visit(ctx context.Context) {
	k, err := dial(c.service, c.fleet.cfg.Dir)
	if err != nil {
		if ctx.Err() == nil {
			c.fleet.note(func(l *Losses) { l.Refused++ })
			c.fleet.unexpected(fmt.Sprintf("connect to %s: %v", c.service.Name, stripped(err)))
		}
		return
	}
	defer k.Close()
	stop := context.AfterFunc(ctx, func() { k.Close() })
	defer stop()
	_ = k.SetReadDeadline(time.Now().Add(pongTimeout))
	err = k.send([]byte(`{"type":"ping"}`))
	var line []byte
	if err == nil {
		line, err = k.receive()
	}
	if ctx.Err() != nil {
		return
	}
	if err != nil {
		excused := c.fleet.cfg.Book.Crashed(c.service.Name, time.Now())
		c.fleet.note(func(l *Losses) {
			l.Broken++
			if !excused {
				l.Foreign++
			}
		})
		if !excused {
			c.fleet.unexpected(fmt.Sprintf("a new connection to %s: %v", c.service.Name, stripped(err)))
		}
		return
	}
	if o, err := parse(line); err != nil || o.Type != "pong" {
		c.fleet.note(func(l *Losses) { l.Refused++ })
		c.fleet.unexpected(fmt.Sprintf("a new connection to %s got %s %s instead of a pong", c.service.Name, o.Type, o.Code))
	}
}
