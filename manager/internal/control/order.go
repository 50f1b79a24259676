package control

import (
	"fmt"
	"net/http"
	"strconv"
)

// The verbs of an Order.
const (
	Restart = "restart"
	Stop    = "stop"
	Start   = "start"
	Scale   = "scale"
	Reload  = "reload"
	Upgrade = "upgrade"
	Attach  = "attach"
)

// Order is a change of the running server.
type Order struct {
	Verb      string
	Service   string // id or name
	Process   string // empty: all of the service
	Processes int    // of a Scale: how many there are to be
	DryRun    bool   // of a Reload: say only what would change
}

// orderKeys are what the query of an order may have.
var orderKeys = map[string][]string{
	Restart: {"process"}, Stop: {"process"}, Start: {"process"}, Attach: {"process"}, Scale: {"processes"}, Reload: {"dry_run"},
}

func parseOrder(r *http.Request, verb string) (Order, error) {
	query, err := queryOf(r, orderKeys[verb]...)
	if err != nil {
		return Order{}, err
	}
	o := Order{Verb: verb, Service: r.PathValue("service"), Process: query.Get("process")}
	if verb == Scale {
		if o.Processes, err = strconv.Atoi(query.Get("processes")); err != nil {
			return o, fmt.Errorf("%w: processes=%q; use the number of processes there are to be", ErrBadRequest, query.Get("processes"))
		}
	}
	if text := query.Get("dry_run"); text != "" {
		if o.DryRun, err = strconv.ParseBool(text); err != nil {
			return o, fmt.Errorf("%w: dry_run=%q; use 0 or 1", ErrBadRequest, text)
		}
	}
	return o, nil
}

// operate answers with what an operation does.
func (s *streams) operate(w http.ResponseWriter, r *http.Request, b Backend, verb string) {
	o, err := parseOrder(r, verb)
	if err != nil {
		fail(w, err)
		return
	}
	from, err := b.Operate(o)
	if err != nil {
		fail(w, err)
		return
	}
	s.serve(w, r, from)
}
