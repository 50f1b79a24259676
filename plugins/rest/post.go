package main

import (
	"errors"
	"net/http"
	"os"
	"time"

	"github.com/antano/antano/plugin/format"
	"github.com/antano/antano/plugin/web"
	"github.com/antano/antano/shared"
)

const (
	bodyTime   = 30 * time.Second // a request's body is here, or the connection ends
	writeTime  = 30 * time.Second // an answer is taken
	answerTime = 6 * time.Second  // longer than an answer can be owed
)

var errAnswered = errors.New("the request is answered")

// post takes a message object and answers with what becomes of it.
func (s *service) post(w http.ResponseWriter, r *http.Request) {
	out, ok := acceptFormat(r.Header, s.params.MessageFormatOut)
	if !ok {
		fail(w, http.StatusNotAcceptable, shared.FormatJSON, shared.Errorf(shared.CodeUnsupported, "answers are application/json or application/msgpack: accept one of them"))
		return
	}
	in, ok := contentFormat(r.Header, s.params.MessageFormatIn)
	if !ok {
		fail(w, http.StatusUnsupportedMediaType, out, shared.Errorf(shared.CodeUnsupported, "messages are application/json or application/msgpack: set Content-Type to what the body is"))
		return
	}
	object, done, ok := s.body(w, r, out)
	if !ok {
		return
	}
	defer done()
	var env format.Envelope
	if err := format.Parse(in, object, &env); err == nil {
		if env.Type == format.TypeJoin || env.Type == format.TypeLeave {
			s.drop(w, out, shared.Errorf(shared.CodeDenied, "a POST has no stream to get messages on: GET %s?join=entity/entity_id", s.events))
			return
		}
		if env.ID == nil {
			if object, err = withID(in, object); err != nil {
				s.drop(w, out, shared.Errorf(shared.CodeBadMessage, "%v", err))
				return
			}
		}
	}
	s.call(w, r, in, out, object)
}

// body reads a message, or answers why it is not taken.
func (s *service) body(w http.ResponseWriter, r *http.Request, out shared.FormatID) (object []byte, done func(), ok bool) {
	control := http.NewResponseController(w)
	control.SetReadDeadline(time.Now().Add(bodyTime))
	object, done, err := s.intake.Read(r.Body)
	control.SetReadDeadline(time.Time{})
	if err == nil {
		return object, done, true
	}
	w.Header().Set("Connection", "close") // the rest of the body is not read
	e, refused := errors.AsType[*shared.Error](err)
	switch {
	case refused:
		s.drop(w, out, e)
	case errors.Is(err, os.ErrDeadlineExceeded):
		fail(w, http.StatusRequestTimeout, out, shared.Errorf(shared.CodeTimeout, "the body did not come within %v: send it faster", bodyTime))
	default:
		s.drop(w, out, shared.Errorf(shared.CodeBadMessage, "the body could not be read: %v", err))
	}
	return nil, nil, false
}

// drop counts a message that goes nowhere, and answers.
func (s *service) drop(w http.ResponseWriter, out shared.FormatID, e *shared.Error) {
	s.host.CountDrop(e.Code, 1)
	failCode(w, out, e)
}

// call sends one message as a client of its own, and answers with the answer.
func (s *service) call(w http.ResponseWriter, r *http.Request, in, out shared.FormatID, object []byte) {
	c := &caller{format: out, answered: make(chan struct{})}
	client, err := s.callers[out].Connect(r.RemoteAddr, c)
	if err != nil {
		s.drop(w, out, refusal(err))
		return
	}
	defer client.Close(errAnswered)
	if client.ReceiveAs(in, object) == nil {
		client.Flush()
		timeout := time.NewTimer(answerTime)
		defer timeout.Stop()
		select {
		case <-c.answered:
		case <-timeout.C:
		case <-r.Context().Done():
		}
	}
	http.NewResponseController(w).SetWriteDeadline(time.Now().Add(writeTime))
	answer, code := c.end()
	switch {
	case answer == nil:
		failCode(w, out, shared.Errorf(shared.CodeProcessLost, "the service ended before the message was answered: it may have arrived"))
	case code != shared.CodeNone:
		respond(w, web.Status(code), out, answer)
	default:
		respond(w, http.StatusOK, out, answer)
	}
}

// refusal is err as an answer.
func refusal(err error) *shared.Error {
	if e, ok := errors.AsType[*shared.Error](err); ok {
		return e
	}
	return shared.Errorf(shared.CodeOverloaded, "%v", err)
}
