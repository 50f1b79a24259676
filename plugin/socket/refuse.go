package socket

import (
	"errors"

	"golang.org/x/sys/unix"

	"github.com/antano/antano/plugin/format"
	"github.com/antano/antano/shared"
)

// refusal is the framed answer to a peer that does not become a client, with the id of
// its message if that is known; nothing for formats without errors.
func (s *SocketService) refusal(id []byte, e *shared.Error) []byte {
	f := s.params.MessageFormatOut
	if f.Bare() {
		return nil
	}
	answer := format.AppendError(nil, f, id, e)
	if s.frame == nil {
		return answer
	}
	framed, err := s.frame(nil, answer)
	if err != nil {
		return nil
	}
	return framed
}

// idOf is the id of a message that is not received, nil when it has none.
func (s *SocketService) idOf(message []byte) []byte {
	var env format.Envelope
	format.Parse(s.params.MessageFormatIn, message, &env) // the id is there or not, whatever else is wrong
	return env.ID
}

// refusalOf is err as an answer.
func refusalOf(err error) *shared.Error {
	if e, ok := errors.AsType[*shared.Error](err); ok {
		return e
	}
	return shared.Errorf(shared.CodeOverloaded, "%v", err)
}

// refuseNow answers and closes a connection that cannot even be waited for.
func (s *SocketService) refuseNow(conn int) {
	e := shared.Errorf(shared.CodeOverloaded, "the service is out of descriptors: try again later")
	s.host.CountDrop(e.Code, 1)
	sayGoodbye(conn, s.refusal(nil, e))
}

// sayGoodbye writes an answer and closes the connection, without waiting.
func sayGoodbye(conn int, answer []byte) {
	unix.Write(conn, answer)
	unix.Shutdown(conn, unix.SHUT_WR)
	var discard [4096]byte
	unix.Read(conn, discard[:])
	unix.Close(conn)
}

// refuseLater answers a connection that did not become a client, and gives the peer
// a moment to read it. It takes c over.
func (s *SocketService) refuseLater(c *stream, err error) {
	e := refusalOf(err)
	s.host.CountDrop(e.Code, 1)
	c.Write([][]byte{s.refusal(nil, e)}, false)
	if s.lingering.Add(1) > maxLingering || !s.own(c) {
		s.lingering.Add(-1)
		c.file.Close()
		return
	}
	go func() {
		defer s.disown(c)
		defer s.lingering.Add(-1)
		c.linger()
	}()
}
