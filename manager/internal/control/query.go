package control

import (
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// queryOf reads a query that may have each of the given keys once.
func queryOf(r *http.Request, keys ...string) (url.Values, error) {
	values, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, fmt.Errorf("%w: query %q: %w", ErrBadRequest, r.URL.RawQuery, err)
	}
	use := "leave it away"
	if len(keys) > 0 {
		use = "use " + strings.Join(keys, ", ")
	}
	for _, key := range slices.Sorted(maps.Keys(values)) {
		switch {
		case !slices.Contains(keys, key):
			return nil, fmt.Errorf("%w: %s %s has no key %q in its query; %s", ErrBadRequest, r.Method, r.URL.Path, key, use)
		case len(values[key]) > 1:
			return nil, fmt.Errorf("%w: the query has key %q %d times; once is enough", ErrBadRequest, key, len(values[key]))
		}
	}
	return values, nil
}

// parseQuery reads the query of a stream. follow is what it does unless the query says
// otherwise: such a stream begins now, the other with what is remembered.
func parseQuery(r *http.Request, follow bool) (Query, error) {
	values, err := queryOf(r, "service", "process", "follow", "since")
	if err != nil {
		return Query{}, err
	}
	q := Query{Service: values.Get("service"), Process: values.Get("process"), Follow: follow}
	if q.Service == "" && q.Process != "" {
		return q, fmt.Errorf("%w: process needs a service; add service=NAME", ErrBadRequest)
	}
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
