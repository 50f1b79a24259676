package socket

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"unicode/utf8"

	"github.com/antano/antano/plugin"
	"github.com/antano/antano/shared"
)

// received takes one message of a client: to the relay, or to the author. The error
// says that the client is closed.
func (s *SocketService) received(client plugin.Client, address string, message []byte) error {
	if s.config.OnReceivedMessage == nil {
		return client.Receive(message)
	}
	done, err := client.Take(len(message))
	if e, ok := errors.AsType[*shared.Error](err); ok {
		client.Reject(e.Code, e.Text)
		return nil
	}
	if err != nil {
		return err
	}
	defer done()
	s.respond(client, address, message)
	return nil
}

// respond gives a message to the author, and the client what comes of it.
func (s *SocketService) respond(client plugin.Client, address string, message []byte) {
	response, err := s.call(client, address, message)
	if err != nil {
		e, ok := errors.AsType[*shared.Error](err)
		if !ok {
			e = shared.Errorf(shared.CodeUnsupported, "%v", err)
		}
		client.Reject(e.Code, e.Text)
		return
	}
	if response == nil {
		return
	}
	if err := client.Send(response); err != nil {
		s.host.Logger().Warn("response dropped", "client", client.ID(), "err", err)
	}
}

// call runs the author's code; a panic is an error of this message alone.
func (s *SocketService) call(client plugin.Client, address string, message []byte) (response []byte, err error) {
	ctx, end := s.calls.begin(s.host.HandlerTimeout())
	defer end()
	defer s.recovered("OnReceivedMessage", &err, "client", client.ID())
	return s.config.OnReceivedMessage(ctx, message, address, client)
}

// recovered makes an error of a panic of the author's code, unless that is nil; it is
// deferred.
func (s *SocketService) recovered(function string, err *error, about ...any) {
	if p := recover(); p != nil {
		s.host.Logger().Error(function+" panicked", append(about, "panic", fmt.Sprint(p), "stack", string(debug.Stack()))...)
		s.host.Count("panics", 1)
		if err == nil {
			return
		}
		*err = shared.Errorf(shared.CodeUnsupported, "the service failed on this message: its log says where")
	}
}

// SendMessage sends message, framed and otherwise as it is, to a client: a stream's is
// given; for datagrams nil finds the source by its address. A message that is not
// isBinary must be UTF-8. It does not block. Errors: *shared.Error with `unsupported`,
// `no_such_entity` (no such source) or what Client.Send says. Source: the seed's
// send_message.
func (s *SocketService) SendMessage(message []byte, address string, client plugin.Client, isBinary bool) error {
	if !isBinary && !utf8.Valid(message) {
		return shared.Errorf(shared.CodeUnsupported, "the message for %q is not UTF-8: send it as binary", address)
	}
	if client == nil {
		if client = s.sourceAt(address); client == nil {
			return shared.Errorf(shared.CodeNoSuchEntity, "no datagram source has the address %q: send to one that was heard of", address)
		}
	}
	return client.Send(message)
}

// PassThroughMessage sends message to an entity and waits for what becomes of it.
// Source: plugin.Host, the seed's pass_through_message.
func (s *SocketService) PassThroughMessage(ctx context.Context, entity string, entityID int64, processID int, message any) (shared.Receipt, error) {
	s.mu.Lock()
	serving := s.serving
	s.mu.Unlock()
	if !serving {
		return shared.Receipt{}, fmt.Errorf("pass a message to %s/%d: %w", entity, entityID, errNotServing)
	}
	return s.host.PassThroughMessage(ctx, shared.Address{Entity: entity, ID: entityID}, processID, message)
}
