package hub

import (
	"sync"
	"time"

	"github.com/antano/antano/plugin/format"
	"github.com/antano/antano/shared"
	"github.com/antano/antano/shared/wire"
)

// datagramErrors is how many errors a second a datagram source gets for messages
// without an id.
const datagramErrors = 100

// sentences say what to change where only a code is known.
var sentences = [shared.NumCodes]string{
	shared.CodeBadMessage:    "the destination could not read the message; check its value",
	shared.CodeTooLarge:      "the message is larger than the destination's transport carries; send a smaller one",
	shared.CodeNoDestination: "the message has no entity and the service no forward_to; name an entity",
	shared.CodeNoSuchEntity:  "nobody is there under this entity; check entity and entity_id, or join first",
	shared.CodeNoSuchProcess: "this process does not exist or is not ready; leave out process_id or try again",
	shared.CodeOverloaded:    "a queue on the way is full; send slower and try again",
	shared.CodeTimeout:       "no result came in time, so it is unknown whether it was delivered; ask the destination before sending again",
	shared.CodeProcessLost:   "the destination's process ended, so it is unknown whether it was delivered; ask the destination before sending again",
	shared.CodeUnsupported:   "the destination does not take this message; check what it supports",
	shared.CodeDenied:        "this is not allowed; address a group, or an entity of your own",
	shared.CodeShuttingDown:  "the server is shutting down; connect again later",
}

// sentence returns the error that a client sees for a bare code.
func sentence(code shared.Code) *shared.Error {
	text := "the message was not delivered; try again"
	if int(code) < len(sentences) && sentences[code] != "" {
		text = sentences[code]
	}
	return &shared.Error{Code: code, Text: text}
}

// worst returns the error for a message of which no copy was delivered. A code that
// means "unknown" wins, since every other one promises that nothing arrived.
func worst(r *wire.Result) *shared.Error {
	code, most := shared.CodeNoSuchEntity, uint32(0)
	for _, f := range r.Failures() {
		if f.Code == shared.CodeTimeout || f.Code == shared.CodeProcessLost {
			return sentence(f.Code)
		}
		if f.Count > most {
			code, most = f.Code, f.Count
		}
	}
	return sentence(code)
}

// toldAnyway reports whether an error is sent for a message without an id.
func toldAnyway(code shared.Code) bool {
	switch code {
	case shared.CodeBadMessage, shared.CodeTooLarge, shared.CodeNoDestination, shared.CodeUnsupported, shared.CodeDenied:
		return true
	}
	return false
}

// receiptOf makes a receipt of a result.
func receiptOf(r *wire.Result) shared.Receipt {
	receipt := shared.Receipt{Delivered: int(r.Delivered)}
	for _, f := range r.Failures() {
		if receipt.Failed == nil {
			receipt.Failed = map[shared.Code]int{}
		}
		receipt.Failed[f.Code] += int(f.Count)
	}
	return receipt
}

// answer queues what build makes of the client's format.
func (c *Client) answer(build func(dst []byte, f shared.FormatID) []byte) {
	if c.w == nil || !c.ep.answers() {
		return
	}
	object := objects.Get().(*[]byte)
	defer objects.Put(object)
	*object = build((*object)[:0], c.ep.cfg.FormatOut)
	code := shared.CodeNone
	if p, refused := c.ep.frame(*object); refused != nil {
		code = refused.Code
	} else {
		code = c.put(item{p: p}, classAnswer, 0)
		c.hub.release(p)
	}
	keepSmall(object)
	if code != shared.CodeNone {
		c.hub.page.Drop(code, 1)
	}
}

// objects are what answers are built in.
var objects = sync.Pool{New: func() any { return new([]byte) }}

// answerResult sends the receipt or error for the message with this id.
func (c *Client) answerResult(id []byte, r *wire.Result) {
	if r.Delivered == 0 {
		c.answerError(id, worst(r))
		return
	}
	c.answer(func(dst []byte, f shared.FormatID) []byte { return format.AppendReceipt(dst, f, id, receiptOf(r)) })
}

func (c *Client) answerJoined(id []byte, to shared.Address) {
	c.answer(func(dst []byte, f shared.FormatID) []byte { return format.AppendJoined(dst, f, id, to) })
}

func (c *Client) answerLeft(id []byte, to shared.Address) {
	c.answer(func(dst []byte, f shared.FormatID) []byte { return format.AppendLeft(dst, f, id, to) })
}

// answerError sends an error; without an id only if the code is told anyway and the
// source has not had too many.
func (c *Client) answerError(id []byte, e *shared.Error) {
	if len(id) == 0 && (!toldAnyway(e.Code) || !c.mayHearError()) {
		return
	}
	c.answer(func(dst []byte, f shared.FormatID) []byte { return format.AppendError(dst, f, id, e) })
}

// mayHearError counts an error without an id towards a datagram source, so that we
// reflect no flood.
func (c *Client) mayHearError() bool {
	if !c.ep.cfg.Datagram {
		return true
	}
	now := time.Now().Unix()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.errorSecond != now {
		c.errorSecond, c.errorsInSecond = now, 0
	}
	c.errorsInSecond++
	return c.errorsInSecond <= datagramErrors
}

// mayOwe reports whether there is room for one answer more than the client is owed: what
// a stream asks beyond that waits, once for push_back, and then is refused until half of
// the room is free. It is called while a message is received, which is owed itself.
func (c *Client) mayOwe(w *wait) bool {
	limit := c.hub.cfg.Params.Limits.ClientQueueBytes
	for {
		c.mu.Lock()
		owed := int(c.answersOwed.Load()) - 1
		if c.out.holds(2*owed, limit) {
			c.owedSpent = false
		}
		if c.out.holds(owed, limit) {
			c.mu.Unlock()
			return true
		}
		if c.owedSpent || !w.can {
			c.mu.Unlock()
			return false
		}
		room := c.out.awaitRoom()
		c.mu.Unlock()
		if w.on(room) != waitReady {
			c.mu.Lock()
			c.owedSpent = !w.moved
			c.mu.Unlock()
			return false
		}
	}
}

// oweAnswer notes that an answer will be queued later, settleAnswer that it was.
func (c *Client) oweAnswer() { c.answersOwed.Add(1) }

func (c *Client) settleAnswer() { c.answersOwed.Add(-1) }
