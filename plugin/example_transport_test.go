package plugin_test

import (
	"bufio"
	"context"
	"errors"
	"net"
	"sync/atomic"
	"time"

	"github.com/antano/antano/plugin"
	"github.com/antano/antano/plugin/socket"
	"github.com/antano/antano/shared"
)

// board is a transport: its clients connect over TCP and send message objects, one JSON a
// line. Every client is a member of board/1 without asking.
type board struct {
	host     plugin.Host
	listener net.Listener
	endpoint plugin.Endpoint
	busy     atomic.Int64 // since when a line is being worked on, Unix nanoseconds
}

func (b *board) Describe() shared.Description {
	json := shared.Formats{shared.FormatJSON}
	return shared.Description{
		ServiceType: "board", CanSend: true, Transport: shared.TransportTCP, FormatsIn: json, FormatsOut: json,
	}
}

func (b *board) Start(_ context.Context, host plugin.Host) (err error) {
	b.host = host
	b.endpoint, err = host.NewEndpoint(plugin.EndpointConfig{
		Frame: func(dst, payload []byte) ([]byte, error) { return append(append(dst, payload...), '\n'), nil },
	})
	if err != nil {
		return err
	}
	if b.listener, err = socket.Listen(host, nil); err != nil {
		return err
	}
	host.Go(b.accept)
	return nil
}

// Drain takes no new clients; the SDK then waits for what is owed to those there are.
func (b *board) Drain(context.Context) error { return b.listener.Close() }

// Stop ends accept; the SDK closes the clients, which ends serve.
func (b *board) Stop(context.Context) error { return b.listener.Close() }

// Health tells the operator of a loop that hangs; the process is then replaced.
func (b *board) Health() error {
	if since := b.busy.Load(); since != 0 && time.Since(time.Unix(0, since)) > 10*time.Second {
		return errors.New("a line has been worked on for over 10 s")
	}
	return nil
}

func (b *board) accept() {
	for {
		conn, err := b.listener.Accept()
		if err != nil {
			return
		}
		if !b.host.Go(func() { b.serve(conn) }) {
			conn.Close()
		}
	}
}

// serve is one client. A panic here ends it alone.
func (b *board) serve(conn net.Conn) {
	client, err := b.endpoint.Connect(conn.RemoteAddr().String(), lineWriter{conn})
	if err != nil { // overloaded or shutting down
		conn.Close()
		return
	}
	defer client.Retire(nil) // once it has what it is owed, it and conn are closed
	if client.Receive([]byte(`{"type":"join","entity":"board","entity_id":1}`)) != nil {
		return
	}
	lines := bufio.NewScanner(conn)
	lines.Buffer(nil, b.host.Params().Limits.MaxMessageBytes)
	for lines.Scan() {
		b.busy.Store(time.Now().UnixNano())
		err := client.Receive(lines.Bytes())
		client.Flush()
		b.busy.Store(0)
		if err != nil {
			return
		}
	}
}

// lineWriter is the way out to one client.
type lineWriter struct{ net.Conn }

// Write leaves messages to a call that may wait.
func (w lineWriter) Write(messages [][]byte, wait bool) (int, error) {
	if !wait {
		return 0, plugin.ErrWouldBlock
	}
	lines := net.Buffers(messages)
	n, err := lines.WriteTo(w.Conn)
	return int(n), err
}

// A complete transport: the socket that all processes share, groups joined on behalf of
// clients, health and drain. What needs no connections of its own kind is shorter with
// package socket.
func Example_transport() {
	plugin.Serve(&board{})
}
