package main

import (
	"bytes"
	"mime"
	"net/http"
	"strconv"
	"strings"

	"github.com/tinylib/msgp/msgp"

	"github.com/antano/antano/plugin/format"
	"github.com/antano/antano/plugin/web"
	"github.com/antano/antano/shared"
)

var mediaTypes = map[shared.FormatID]string{shared.FormatJSON: "application/json", shared.FormatMsgpack: "application/msgpack"}

var mediaFormats = map[string]shared.FormatID{
	"application/json": shared.FormatJSON, "application/msgpack": shared.FormatMsgpack,
	"application/x-msgpack": shared.FormatMsgpack, "application/vnd.msgpack": shared.FormatMsgpack,
}

// contentFormat is what Content-Type says, usual without one.
func contentFormat(h http.Header, usual shared.FormatID) (shared.FormatID, bool) {
	text := h.Get("Content-Type")
	if text == "" {
		return usual, true
	}
	media, _, err := mime.ParseMediaType(text)
	f, ok := mediaFormats[media]
	return f, ok && err == nil
}

// accepts are the media types that the sender takes, in its order; any without a word.
func accepts(h http.Header) (media []string) {
	for _, line := range h.Values("Accept") {
		for part := range strings.SplitSeq(line, ",") {
			m, params, err := mime.ParseMediaType(part)
			if q, qerr := strconv.ParseFloat(params["q"], 64); err == nil && (qerr != nil || q > 0) {
				media = append(media, m)
			}
		}
	}
	if len(h.Values("Accept")) == 0 {
		return []string{"*/*"}
	}
	return media
}

// acceptFormat is the first format that Accept names, usual where it names none of its own.
func acceptFormat(h http.Header, usual shared.FormatID) (shared.FormatID, bool) {
	for _, media := range accepts(h) {
		if media == "*/*" || media == "application/*" {
			return usual, true
		}
		if f, ok := mediaFormats[media]; ok {
			return f, true
		}
	}
	return 0, false
}

// acceptsEvents reports whether Accept lets a stream through.
func acceptsEvents(h http.Header) bool {
	for _, media := range accepts(h) {
		if media == "*/*" || media == "text/*" || media == "text/event-stream" {
			return true
		}
	}
	return false
}

// withID adds an id to a message object that has none, so that it is answered.
func withID(f shared.FormatID, object []byte) ([]byte, error) {
	if f == shared.FormatJSON {
		begin := bytes.IndexByte(object, '{') + 1
		return append(append(append(make([]byte, 0, len(object)+7), object[:begin]...), `"id":1,`...), object[begin:]...), nil
	}
	pairs, rest, err := msgp.ReadMapHeaderBytes(object)
	if err != nil {
		return nil, err
	}
	b := msgp.AppendMapHeader(make([]byte, 0, len(object)+8), pairs+1)
	b = msgp.AppendInt(msgp.AppendString(b, "id"), 1)
	return append(b, rest...), nil
}

// fail answers a request with an error object.
func fail(w http.ResponseWriter, status int, f shared.FormatID, e *shared.Error) {
	respond(w, status, f, format.AppendError(nil, f, nil, e))
}

// failCode answers with an error, and the status that is its code's.
func failCode(w http.ResponseWriter, f shared.FormatID, e *shared.Error) {
	fail(w, web.Status(e.Code), f, e)
}

// respond answers a request.
func respond(w http.ResponseWriter, status int, f shared.FormatID, object []byte) {
	h := w.Header()
	h.Set("Content-Type", mediaTypes[f])
	h.Set("Content-Length", strconv.Itoa(len(object)))
	if status == http.StatusServiceUnavailable {
		h.Set("Retry-After", "1")
	}
	w.WriteHeader(status)
	w.Write(object)
}
