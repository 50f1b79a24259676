package main

import (
	"context"
	"errors"
	"io"
	"net"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"

	"github.com/antano/antano/plugin"
	"github.com/antano/antano/plugin/format"
	"github.com/antano/antano/shared"
)

const maxLingering = 128 // refused connections at once

var (
	errIdle    = errors.New("idle_timeout is over")
	errNoPong  = errors.New("the peer did not answer a ping")
	errAbsurd  = errors.New("a message over 64 MiB")
	errStopped = errors.New("the service stopped")
)

// connection is one client. One goroutine reads it; writer.go is the way out.
type connection struct {
	service *service
	ws      *websocket.Conn
	conn    net.Conn // below ws
	in, out shared.FormatID
	client  plugin.Client
	heard   atomic.Int64 // when the peer last sent a message, Unix nanoseconds
	exit    exit
}

// refuse tells a connection that did not become a client why.
func (c *connection) refuse(err error) {
	e, ok := errors.AsType[*shared.Error](err)
	if !ok {
		e = shared.Errorf(shared.CodeOverloaded, "%v", err)
	}
	s := c.service
	s.host.CountDrop(e.Code, 1)
	if s.lingering.Add(1) <= maxLingering {
		if answer := format.AppendError(nil, c.out, nil, e); answer != nil {
			c.ws.Write(context.Background(), messageType(c.out), answer)
		}
		code := websocket.StatusTryAgainLater
		if e.Code == shared.CodeShuttingDown {
			code = websocket.StatusGoingAway
		}
		c.ws.Close(code, e.Code.String())
	}
	s.lingering.Add(-1)
}

// serve reads until the end of the connection. ctx ends when the service stops.
func (c *connection) serve(ctx context.Context) {
	c.heard.Store(time.Now().UnixNano())
	defer c.finish()
	defer context.AfterFunc(ctx, c.stop)()
	defer c.watch()()
	cause := c.read()
	if websocket.CloseStatus(cause) != -1 || errors.Is(cause, io.EOF) {
		cause = nil
	}
	c.client.Close(cause)
}

// stop ends the connection when the service does.
func (c *connection) stop() {
	if c.exit.begin() {
		defer c.exit.tasks.Done()
		c.client.Close(errStopped) // ends a Receive that waits
		c.Close()
	}
}

func (c *connection) read() error {
	for {
		t, r, err := c.ws.Reader(context.Background())
		if err != nil {
			return err
		}
		message, done, err := c.service.intake.Read(r)
		c.heard.Store(time.Now().UnixNano())
		if e, ok := errors.AsType[*shared.Error](err); ok {
			c.client.Reject(e.Code, e.Text)
			err = c.skip(r)
		} else if err == nil && len(message) > 0 { // an empty one is a keep-alive
			err = c.client.ReceiveAs(c.formatOf(t), message)
			done()
		} else if err == nil {
			done()
		}
		if err != nil {
			return err
		}
		c.client.Flush()
	}
}

// skip reads a message to its end that was not taken.
func (c *connection) skip(r io.Reader) error {
	n, err := io.Copy(io.Discard, io.LimitReader(r, shared.MaxFrameBytes))
	if err == nil && n == shared.MaxFrameBytes {
		c.client.Flush()
		c.ws.Close(websocket.StatusMessageTooBig, errAbsurd.Error())
		return errAbsurd
	}
	return err
}

// formatOf is the format of a message of type t: of message objects, text is JSON and
// binary msgpack; bare values are what the params say.
func (c *connection) formatOf(t websocket.MessageType) shared.FormatID {
	switch {
	case c.in.Bare():
		return c.in
	case t == websocket.MessageText:
		return shared.FormatJSON
	}
	return shared.FormatMsgpack
}

// messageType is how WebSocket marks messages of a format.
func messageType(f shared.FormatID) websocket.MessageType {
	if f == shared.FormatJSON || f == shared.FormatText {
		return websocket.MessageText
	}
	return websocket.MessageBinary
}
