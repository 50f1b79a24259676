package main

import (
	"context"
	"time"

	"github.com/coder/websocket"
)

// watch begins to ask a silent peer whether it is there, and to end a connection that sent
// nothing for idle_timeout.
func (c *connection) watch() (stop func() bool) {
	every := c.service.settings.ping
	if idle := c.service.params.Limits.IdleTimeout; idle > 0 && (every == 0 || idle < every) {
		every = idle
	}
	if every == 0 {
		return func() bool { return true }
	}
	var timer *time.Timer
	ready := make(chan struct{})
	timer = time.AfterFunc(every, func() {
		<-ready
		if next := c.look(); next > 0 {
			timer.Reset(next)
		}
	})
	close(ready)
	return timer.Stop
}

// look does what is due and returns when it is to be called again; 0: never.
func (c *connection) look() (next time.Duration) {
	if !c.exit.begin() {
		return 0
	}
	defer c.exit.tasks.Done()
	silent := time.Duration(time.Now().UnixNano() - c.heard.Load())
	ping, idle := c.service.settings.ping, c.service.params.Limits.IdleTimeout
	if idle > 0 && silent >= idle {
		c.exit.because(websocket.StatusNormalClosure, "idle_timeout")
		c.client.Retire(errIdle)
		return 0
	}
	if ping > 0 {
		next = ping - silent
		if next <= 0 {
			next = ping
			if !c.ping() {
				return 0
			}
		}
	}
	if idle > 0 && (next == 0 || idle-silent < next) {
		next = idle - silent
	}
	return next
}

// ping reports whether the peer is there: it has ping_interval to answer. One that has output before it is asked by that.
func (c *connection) ping() bool {
	if c.client.Owed() {
		return true
	}
	ctx, cancel := context.WithTimeout(context.Background(), c.service.settings.ping)
	defer cancel()
	if err := c.ws.Ping(ctx); err != nil {
		c.client.Close(errNoPong)
		c.conn.Close()
		return false
	}
	return true
}
