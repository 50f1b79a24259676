package manager

import (
	"fmt"
	"math/bits"
	"time"

	"github.com/antano/antano/manager/internal/event"
	"github.com/antano/antano/manager/internal/history"
	"github.com/antano/antano/manager/internal/process"
	"github.com/antano/antano/shared"
)

// Event is something that happened in a server, as `antano events --json` prints it.
// Fields that do not apply to its type are absent. Source: docs/control.md "Event".
type Event struct {
	Seq        uint64            `json:"seq"` // counts the events of a server from 1; 0 of a gap
	Time       time.Time         `json:"time"`
	Type       string            `json:"type"`
	Message    string            `json:"message"`
	Service    string            `json:"service,omitempty"`
	ServiceID  *int64            `json:"service_id,omitempty"`
	ProcessID  *int              `json:"process_id,omitempty"`
	Generation int               `json:"generation,omitempty"`
	PID        int               `json:"pid,omitempty"`
	State      string            `json:"state,omitempty"`
	Beside     bool              `json:"beside,omitempty"` // of a generation beside the current one
	Restarts   *int              `json:"restarts,omitempty"`
	NextTry    *time.Time        `json:"next_try,omitempty"`
	Exit       *ProcessExit      `json:"exit,omitempty"`
	Slots      *int              `json:"slots,omitempty"`
	ClientID   uint64            `json:"client_id,omitempty"`
	Drops      map[string]uint64 `json:"drops,omitempty"`
	Missed     uint64            `json:"missed,omitempty"`
}

// The types of events.
const (
	eventServer  = "server"  // the server changed its state, was upgraded, adopted
	eventProcess = "process" // a process changed its state
	eventSlots   = "slots"   // a process confirmed which slots it reads
	eventKick    = "kick"    // a client was ended by an operator
	eventChange  = "change"  // a step of a restart, stop, start, scale or reload
	eventDrops   = "drops"   // messages were dropped since the last such event
	eventGap     = "gap"     // events that this reader missed
)

// eventBytes bounds the memory of past events, of which each takes about eventSize.
const (
	eventBytes = 1 << 20
	eventSize  = 256
)

func newEvents() *history.Ring[Event] { return history.New[Event](eventBytes) }

// emit tells everybody who follows the events, and gives e its number and, unless it
// has one, its time. It never blocks.
func (s *Server) emit(e Event) {
	if e.Time.IsZero() {
		e.Time = time.Now()
	}
	size := eventSize + len(e.Message)
	if e.Exit != nil {
		for _, line := range e.Exit.Stderr {
			size += len(line)
		}
	}
	s.events.Add(size, func(sequence uint64) Event {
		e.Seq = sequence
		return e
	})
}

// emitServer tells of a new state of the server.
func (s *Server) emitServer(state, message string) {
	s.emit(Event{Type: eventServer, State: state, Message: message})
}

// emit is Server.emit for an event about the process of w.
func (w *worker) emit(e Event) {
	w.about(&e)
	w.service.server.emit(e)
}

func (w *worker) about(e *Event) {
	params := w.service.plan().Params
	id := params.ID
	e.Service, e.ServiceID, e.ProcessID = params.Name, &id, &w.id
}

// emitMove tells of a move of the state machine, with the exit that led to it.
func (w *worker) emitMove(e process.Event) {
	restarts := w.process.Status().Restarts
	out := Event{Type: eventProcess, Time: e.At, State: e.State.String(), Generation: e.Ref.Generation, PID: e.Ref.PID, Beside: e.Aside, Restarts: &restarts}
	if !e.NextTry.IsZero() {
		out.NextTry = &e.NextTry
	}
	if e.Exit != nil {
		out.Exit = &ProcessExit{LastExit: *lastExit(e.Exit), Generation: e.Ended.Generation, PID: e.Ended.PID}
	}
	out.Message = moveSentence(w.String(), e)
	w.emit(out)
}

// moveSentence says what happened, for people.
func moveSentence(who string, e process.Event) string {
	text := fmt.Sprintf("%s is %s", who, e.State)
	switch {
	case e.Aside:
		who = fmt.Sprintf("generation %d of %s", e.Ref.Generation, who)
		text = fmt.Sprintf("%s, beside the current one, is %s", who, e.State)
	case e.State == event.Starting && e.Ref.Generation > 1:
		text = who + " is starting again"
	}
	if e.Exit != nil {
		text = fmt.Sprintf("%s ended after %s: %s; it is %s", who, e.Exit.Uptime.Round(time.Millisecond), e.Exit.Cause, e.State)
	}
	if e.Reason != "" {
		text += ": " + e.Reason
	}
	return text
}

// emitSlots tells that a generation confirmed which slots it reads.
func (i *instance) emitSlots(slots uint64) {
	n := bits.OnesCount64(slots)
	i.w.emit(Event{Type: eventSlots, Generation: i.gen, PID: i.PID(), Slots: &n, Message: fmt.Sprintf("%s reads %d slots", i.w, n)})
}

// emitKick tells that a client was ended.
func (w *worker) emitKick(client shared.ClientID) {
	st := w.process.Status()
	w.emit(Event{Type: eventKick, Generation: st.Ref.Generation, PID: st.Ref.PID, ClientID: uint64(client), Message: fmt.Sprintf("client %d of %s was kicked", client, w)})
}

// emitProgress tells of a step of an operation.
func (s *Server) emitProgress(p Progress) {
	e := Event{Time: p.Time, Type: eventChange, Message: p.Message, Service: p.Service, ProcessID: p.ProcessID, Generation: p.Generation, PID: p.PID}
	if p.Error != "" {
		e.Message += ": " + p.Error
	}
	s.emit(e)
	if p.Error != "" {
		s.cfg.Logger.Error(p.Message, "err", p.Error)
		return
	}
	s.cfg.Logger.Info(p.Message)
}
