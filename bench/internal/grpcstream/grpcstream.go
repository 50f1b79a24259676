// Package grpcstream is a relay between two processes as it is written with gRPC: each
// keeps one bidirectional stream of byte messages to the process in the middle, which
// passes them on.
package grpcstream

import (
	"context"
	"fmt"
	"net"
	"strconv"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

const (
	method = "/antano.bench.Relay/Link"
	key    = "peer" // metadata of a stream: the number of its peer
)

var link = grpc.StreamDesc{StreamName: "Link", ServerStreams: true, ClientStreams: true}

// Serve relays between the peers 0 and 1 that connect to l; it returns when l closes.
func Serve(l net.Listener) error {
	r := relay{}
	for i := range r.queues {
		r.queues[i] = make(chan *wrapperspb.BytesValue, 1024)
	}
	s := grpc.NewServer()
	d := link
	d.Handler = func(_ any, stream grpc.ServerStream) error { return r.serve(stream) }
	s.RegisterService(&grpc.ServiceDesc{ServiceName: "antano.bench.Relay", HandlerType: (*any)(nil), Streams: []grpc.StreamDesc{d}}, r)
	return s.Serve(l)
}

type relay struct {
	queues [2]chan *wrapperspb.BytesValue
}

// serve reads a peer's stream into the queue of the other, and its own queue out.
func (r relay) serve(stream grpc.ServerStream) error {
	md, _ := metadata.FromIncomingContext(stream.Context())
	who, err := strconv.Atoi(fmt.Sprint(append(md.Get(key), "")[0]))
	if err != nil || who < 0 || who > 1 {
		return fmt.Errorf("no peer number but %q", md.Get(key))
	}
	if err := stream.SendHeader(nil); err != nil { // tells the peer that it is here
		return err
	}
	ctx := stream.Context()
	go func() {
		for {
			select {
			case m := <-r.queues[who]:
				if stream.SendMsg(m) != nil {
					return
				}
			case <-ctx.Done():
				return
			}
		}
	}()
	for {
		m := new(wrapperspb.BytesValue)
		if err := stream.RecvMsg(m); err != nil {
			return err
		}
		select {
		case r.queues[1-who] <- m:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Link is one peer's stream.
type Link struct {
	conn   *grpc.ClientConn
	stream grpc.ClientStream
}

// Dial connects to the relay at a Unix socket; the relay knows the peer when it returns.
func Dial(path string, self int) (*Link, error) {
	conn, err := grpc.NewClient("unix:"+path, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return nil, err
	}
	ctx := metadata.AppendToOutgoingContext(context.Background(), key, strconv.Itoa(self))
	stream, err := conn.NewStream(ctx, &link, method)
	if err != nil {
		return nil, err
	}
	_, err = stream.Header()
	return &Link{conn, stream}, err
}

// Send sends a message.
func (l *Link) Send(payload []byte) error {
	return l.stream.SendMsg(&wrapperspb.BytesValue{Value: payload})
}

// Flush does nothing: the library writes what it has as soon as it can.
func (l *Link) Flush() error { return nil }

// Receive returns the next message.
func (l *Link) Receive() ([]byte, error) {
	m := new(wrapperspb.BytesValue)
	err := l.stream.RecvMsg(m)
	return m.Value, err
}

// Close ends the stream and its connection.
func (l *Link) Close() error { return l.conn.Close() }
