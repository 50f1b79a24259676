package control

import (
	"context"
	"encoding/json"
	"net/http"
	"sync/atomic"
	"time"
)

// Stream delivers the records of one answer.
type Stream interface {
	// Next waits for records until ctx ends, and returns none at the end of the stream.
	Next(ctx context.Context) (records []any, err error)
}

// maxStreams is how many streams may be open at once.
const maxStreams = 64

// streams answers with records, one JSON object a line, until the client goes.
type streams struct{ open atomic.Int64 }

// answer returns the handler of a stream. events are followed from now on unless the
// request says otherwise.
func (s *streams) answer(open func(Query) (Stream, error), follow bool) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		q, err := parseQuery(r, follow)
		if err != nil {
			fail(w, err)
			return
		}
		from, err := open(q)
		if err != nil {
			fail(w, err)
			return
		}
		s.serve(w, r, from)
	}
}

// serve writes what there is and flushes when the stream runs dry. A client that does
// not read holds up this goroutine alone: the stream forgets for it meanwhile.
func (s *streams) serve(w http.ResponseWriter, r *http.Request, from Stream) {
	if s.open.Add(1) > maxStreams {
		s.open.Add(-1)
		reply(w, http.StatusServiceUnavailable, problem{"64 streams are open already; end one of them"})
		return
	}
	defer s.open.Add(-1)
	lasting(w)
	w.Header().Set("Content-Type", "application/x-ndjson")
	w.WriteHeader(http.StatusOK)
	out, flush := json.NewEncoder(w), http.NewResponseController(w)
	for flush.Flush() == nil {
		records, err := from.Next(r.Context())
		if err != nil || len(records) == 0 {
			return
		}
		for _, record := range records {
			if out.Encode(record) != nil {
				return // the client is gone
			}
		}
	}
}

// lasting lets an answer take as long as it takes: the time limit on reading a request
// else ends its context.
func lasting(w http.ResponseWriter) {
	_ = http.NewResponseController(w).SetReadDeadline(time.Time{}) // has one: it is a socket
}
