package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/antano/antano/plugin"
	"github.com/antano/antano/plugin/web"
	"github.com/antano/antano/shared"
)

const goodbyeTime = time.Second // a peer takes what is under way

var errLeft = errors.New("the stream ended")

// stream is the plugin.Writer of one client that hears groups. Safe for concurrent use.
type stream struct {
	w       http.ResponseWriter
	control *http.ResponseController
	ended   chan struct{} // closed by Close

	mu    sync.Mutex // of w
	over  bool       // the handler has returned, or is about to
	close sync.Once
}

// stream serves a client until it leaves, or the service ends it.
func (s *service) stream(w http.ResponseWriter, r *http.Request) {
	groups, e := joins(r.URL.Query()["join"])
	if e != nil {
		s.drop(w, shared.FormatJSON, e)
		return
	}
	if !acceptsEvents(r.Header) {
		fail(w, http.StatusNotAcceptable, shared.FormatJSON, shared.Errorf(shared.CodeUnsupported, "a stream is text/event-stream: accept it"))
		return
	}
	c := &stream{w: w, control: http.NewResponseController(w), ended: make(chan struct{})}
	client, err := s.streams.Connect(r.RemoteAddr, c)
	if err != nil {
		s.drop(w, shared.FormatJSON, refusal(err))
		return
	}
	defer c.finish(web.Conn(r))
	defer client.Close(errLeft)
	if c.begin() != nil {
		return
	}
	for _, object := range groups {
		if client.Receive(object) != nil {
			return
		}
	}
	client.Flush()
	c.keep(r, client, s.settings.keepAlive)
}

// joins makes the message objects that enter groups, behind the one that asks for the id.
func joins(names []string) (objects [][]byte, e *shared.Error) {
	if len(names) == 0 {
		return nil, shared.Errorf(shared.CodeBadMessage, "no group to hear: add ?join=entity/entity_id")
	}
	objects = [][]byte{[]byte(`{"type":"whoami"}`)}
	for _, name := range names {
		at := strings.LastIndexByte(name, '/')
		id, err := strconv.ParseInt(name[at+1:], 10, 64)
		if at < 1 || at > shared.MaxEntityName || err != nil {
			return nil, shared.Errorf(shared.CodeBadMessage, "%q is no group: write entity/entity_id", name)
		}
		group := shared.Address{Entity: name[:at], ID: id}
		if !group.IsGroup() {
			return nil, shared.Errorf(shared.CodeDenied, "%s is no group: join any entity but client and service", name)
		}
		object, err := json.Marshal(struct {
			Type string `json:"type"`
			shared.Address
		}{"join", group})
		if err != nil {
			return nil, shared.Errorf(shared.CodeBadMessage, "%q is no group: %v", name, err)
		}
		objects = append(objects, object)
	}
	return objects, nil
}

// appendEvent frames an object as an event of its type. Source: the HTML standard,
// "Server-sent events".
func appendEvent(dst, object []byte) ([]byte, error) {
	kind, _, ok := bytes.Cut(bytes.TrimPrefix(object, []byte(`{"type":"`)), []byte{'"'})
	if !ok {
		return dst, fmt.Errorf("an object without a type: %.100q", object)
	}
	dst = append(append(append(dst, "event: "...), kind...), "\ndata: "...)
	for _, b := range object {
		if b == '\n' || b == '\r' { // between two tokens: within strings they are escaped
			b = ' '
		}
		dst = append(dst, b)
	}
	return append(dst, "\n\n"...), nil
}

// begin answers the request.
func (c *stream) begin() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	h := c.w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("X-Accel-Buffering", "no") // of proxies
	h.Set("Connection", "close")
	c.w.WriteHeader(http.StatusOK)
	c.w.Write([]byte("retry: 1000\n\n"))
	return c.control.Flush()
}

// keep waits for the end of the stream, and says something when nothing else was said.
func (c *stream) keep(r *http.Request, client plugin.Client, every time.Duration) {
	var tick <-chan time.Time
	if every > 0 {
		ticker := time.NewTicker(every)
		defer ticker.Stop()
		tick = ticker.C
	}
	for {
		select {
		case <-r.Context().Done():
			return
		case <-c.ended:
			return
		case <-tick:
			if client.Owed() { // a Write is under way, and may wait
				continue
			}
			if _, err := c.Write([][]byte{[]byte(": keep-alive\n\n")}, true); err != nil {
				return
			}
		}
	}
}

// Write sends events. A Write that must not wait leaves all to the next, which may: the
// server cannot write a part. Source: plugin.Writer.
func (c *stream) Write(events [][]byte, wait bool) (n int, err error) {
	if !wait {
		return 0, plugin.ErrWouldBlock
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.over {
		return 0, errLeft
	}
	for _, e := range events {
		if _, err := c.w.Write(e); err != nil {
			return 0, err
		}
		n += len(e)
	}
	if err := c.control.Flush(); err != nil {
		return 0, err
	}
	return n, nil
}

// Close ends the stream. A peer that does not read what is being written has a second to
// do so. Source: plugin.Writer.
func (c *stream) Close() error {
	c.close.Do(func() {
		c.control.SetWriteDeadline(time.Now().Add(goodbyeTime))
		close(c.ended)
	})
	return nil
}

// finish lets nothing be written any more. It waits for a Write.
func (c *stream) finish(conn interface{ SetWriteDeadline(time.Time) error }) {
	conn.SetWriteDeadline(time.Now().Add(goodbyeTime))
	c.mu.Lock()
	defer c.mu.Unlock()
	c.over = true
}
