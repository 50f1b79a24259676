package control

import (
	"fmt"
	"net/url"
	"strconv"
)

// parseQuery reads the query of a stream. follow is what it does unless the query says
// otherwise: such a stream begins now, the other with what is remembered.
func parseQuery(values url.Values, follow bool) (Query, error) {
	q := Query{Service: values.Get("service"), Process: values.Get("process"), Follow: follow}
	if q.Service == "" && q.Process != "" {
		return q, fmt.Errorf("%w: process needs a service; add service=NAME", ErrBadRequest)
	}
	var err error
	if text := values.Get("follow"); text != "" {
		if q.Follow, err = strconv.ParseBool(text); err != nil {
			return q, fmt.Errorf("%w: follow=%q; use 0 or 1", ErrBadRequest, text)
		}
	}
	q.New = follow && q.Follow && !values.Has("since")
	if text := values.Get("since"); text != "" {
		if q.Since, err = strconv.ParseUint(text, 10, 64); err != nil {
			return q, fmt.Errorf("%w: since=%q; use the sequence number of a record", ErrBadRequest, text)
		}
	}
	return q, nil
}
