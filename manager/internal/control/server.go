// Package control is the control socket: HTTP and JSON over a Unix socket in the
// runtime directory, for the commands and for curl. The server serves what a Backend
// answers; the client is used by package manager on behalf of the commands.
package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"
)

// Backend answers the requests. Methods are called concurrently and respect ctx.
type Backend interface {
	Status() any
	// Clients lists the clients of a service given by id or name; ErrNotFound when
	// there is no such service.
	Clients(ctx context.Context, service string) (any, error)
	// Why explains the processes of a service, or the one that is named.
	Why(service, process string) (any, error)
	// Kick ends a client; ErrNotFound when there is no such client.
	Kick(ctx context.Context, client string) (any, error)
	// Operate begins a change of the running server, which goes on when the stream of
	// what it does is left.
	Operate(Order) (Stream, error)
	// Events and Logs follow what happens and what is logged.
	Events(Query) (Stream, error)
	Logs(Query) (Stream, error)
}

// Query says which records of a stream are wanted.
type Query struct {
	Service, Process string // empty: all
	// Since is the sequence number of the first record; 0 is the oldest that is
	// remembered.
	Since uint64
	// New is: only what comes from now on.
	New bool
	// Follow is: go on when there are no more for now.
	Follow bool
}

var (
	// ErrNotFound becomes 404.
	ErrNotFound = errors.New("not found")
	// ErrBadRequest becomes 400.
	ErrBadRequest = errors.New("bad request")
	// ErrConflict becomes 409.
	ErrConflict = errors.New("not now")
)

// maxBody bounds what a client may send.
const maxBody = 64 << 10

// Serve answers on l until ctx ends, and returns when every request has ended.
func Serve(ctx context.Context, l net.Listener, b Backend) error {
	s := &http.Server{
		Handler: handler(b), ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second,
		IdleTimeout: time.Minute, MaxHeaderBytes: 16 << 10,
		BaseContext: func(net.Listener) context.Context { return ctx },
	}
	stopped := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(stopped)
		short, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		if s.Shutdown(short) != nil {
			_ = s.Close()
		}
	})
	err := s.Serve(l)
	if !stop() {
		<-stopped
	}
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return fmt.Errorf("serve the control socket: %w", err)
}

func handler(b Backend) http.Handler {
	mux := http.NewServeMux()
	answer := func(pattern string, f func(*http.Request) (any, error), keys ...string) {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			_, err := queryOf(r, keys...)
			var v any
			if err == nil {
				v, err = f(r)
			}
			if err != nil {
				fail(w, err)
				return
			}
			reply(w, http.StatusOK, v)
		})
	}
	answer("GET /v1/status", func(*http.Request) (any, error) { return b.Status(), nil })
	answer("GET /v1/services/{service}/clients", func(r *http.Request) (any, error) { return b.Clients(r.Context(), r.PathValue("service")) })
	answer("GET /v1/services/{service}/why", func(r *http.Request) (any, error) {
		return b.Why(r.PathValue("service"), r.URL.Query().Get("process"))
	}, "process")
	answer("POST /v1/clients/{client}/kick", func(r *http.Request) (any, error) { return b.Kick(r.Context(), r.PathValue("client")) })
	var all streams
	mux.HandleFunc("GET /v1/events", all.answer(b.Events, true))
	mux.HandleFunc("GET /v1/logs", all.answer(b.Logs, false))
	var operations streams
	operate := func(pattern, verb string) {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) { operations.operate(w, r, b, verb) })
	}
	operate("POST /v1/services/{service}/restart", Restart)
	operate("POST /v1/services/{service}/stop", Stop)
	operate("POST /v1/services/{service}/start", Start)
	operate("POST /v1/services/{service}/scale", Scale)
	operate("POST /v1/services/{service}/attach", Attach)
	operate("POST /v1/reload", Reload)
	operate("POST /v1/upgrade", Upgrade)
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		reply(w, http.StatusNotFound, problem{fmt.Sprintf("no %s %s here; docs/control.md lists what there is", r.Method, r.URL.Path)})
	})
	return http.MaxBytesHandler(mux, maxBody)
}

type problem struct {
	Error string `json:"error"`
}

func fail(w http.ResponseWriter, err error) {
	code := http.StatusInternalServerError
	switch {
	case errors.Is(err, ErrNotFound):
		code = http.StatusNotFound
	case errors.Is(err, ErrConflict):
		code = http.StatusConflict
	case errors.Is(err, ErrBadRequest):
		code = http.StatusBadRequest
	}
	reply(w, code, problem{err.Error()})
}

func reply(w http.ResponseWriter, code int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(v) // the client is gone when this fails
}
