package main

import (
	"bytes"
	"encoding/json"
	"sync"

	"github.com/antano/antano/plugin/format"
	"github.com/antano/antano/shared"
)

// caller is the plugin.Writer of one request: it keeps what answers it, and refuses all
// else. Safe for concurrent use.
type caller struct {
	format   shared.FormatID
	answered chan struct{} // closed with the answer, or by Close

	mu       sync.Mutex
	ended    bool
	answer   []byte
	response []byte // of a handler
	code     shared.Code
}

// Write takes the answer: `receipt`, `pong`, `client` or `error`. The response of a service's
// handler comes before its receipt, and is the answer then.
func (c *caller) Write(messages [][]byte, _ bool) (n int, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, m := range messages {
		if !c.take(m) {
			return n, shared.Errorf(shared.CodeUnsupported, "a POST gets the answer to its message alone: address a group that a stream joined")
		}
		n += len(m)
	}
	return n, nil
}

func (c *caller) take(m []byte) bool {
	kind, reply, code := c.inspect(m)
	switch {
	case kind == "message" && !reply, c.ended:
		return false
	case kind == "message":
		c.response = bytes.Clone(m)
	default:
		c.answer, c.code = bytes.Clone(m), code
		c.finish()
	}
	return true
}

// inspect says what an object of the server is.
func (c *caller) inspect(m []byte) (kind string, reply bool, code shared.Code) {
	if c.format != shared.FormatJSON {
		converted, err := format.Convert(nil, m, c.format, shared.FormatJSON)
		if err != nil { // a handler's value that JSON cannot carry
			return "message", true, shared.CodeNone
		}
		m = converted
	}
	var o struct {
		Type      string          `json:"type"`
		InReplyTo json.RawMessage `json:"in_reply_to"`
		Code      string          `json:"code"`
	}
	if json.Unmarshal(m, &o) != nil {
		return "message", false, shared.CodeNone
	}
	code, _ = shared.ParseCode(o.Code)
	return o.Type, o.InReplyTo != nil, code
}

// finish tells who waits. The lock is held.
func (c *caller) finish() {
	if !c.ended {
		c.ended = true
		close(c.answered)
	}
}

// Close ends the wait without an answer.
func (c *caller) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.finish()
	return nil
}

// end returns the answer, nil when there is none, and its code when it is an error.
func (c *caller) end() (answer []byte, code shared.Code) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.finish()
	if c.response != nil && c.answer != nil && c.code == shared.CodeNone {
		return c.response, shared.CodeNone
	}
	return c.answer, c.code
}
