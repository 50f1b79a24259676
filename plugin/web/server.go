package web

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"runtime/debug"
	"sync"
	"time"

	"github.com/antano/antano/plugin"
	"github.com/antano/antano/plugin/socket"
)

const (
	headerTimeout = 10 * time.Second // a request's head is here, or the connection ends
	idleTimeout   = 2 * time.Minute  // a connection between two requests, without idle_timeout
	stopTime      = time.Second      // handlers may say goodbye
	maxHeader     = 16 << 10         // bytes of a request's head
)

// refusal answers a connection for which there is no descriptor.
const refusal = "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"

// Server serves HTTP/1.1 for one process of a service.
type Server struct {
	host     plugin.Host
	handler  http.Handler
	http     *http.Server
	listener net.Listener
	cancel   context.CancelFunc // ends the context of every request
	tasks    sync.WaitGroup     // the accept loop, handlers, and what Go started

	mu      sync.Mutex
	stopped bool
	conns   map[*conn]struct{}
	none    chan struct{} // closed when Stop waits for the connections and there are none
}

// Serve serves handler on the listening socket of host until Stop. A handler that panics
// ends its connection alone; it is counted, and the log says where.
func Serve(host plugin.Host, handler http.Handler) (*Server, error) {
	l, err := socket.Listen(host, []byte(refusal))
	if err != nil {
		return nil, fmt.Errorf("serve HTTP: %w", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	s := &Server{host: host, handler: handler, listener: l, cancel: cancel, conns: make(map[*conn]struct{})}
	idle := host.Params().Limits.IdleTimeout
	if idle <= 0 {
		idle = idleTimeout
	}
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	s.http = &http.Server{
		Handler:           http.HandlerFunc(s.handle),
		Protocols:         protocols,
		ReadHeaderTimeout: headerTimeout,
		IdleTimeout:       idle,
		MaxHeaderBytes:    maxHeader,
		ErrorLog:          slog.NewLogLogger(host.Logger().Handler(), slog.LevelDebug),
		BaseContext:       func(net.Listener) context.Context { return ctx },
		ConnContext:       func(ctx context.Context, c net.Conn) context.Context { return context.WithValue(ctx, connKey{}, c) },
	}
	s.Go(func() {
		if err := s.http.Serve(watched{l, s}); !errors.Is(err, net.ErrClosed) && !errors.Is(err, http.ErrServerClosed) {
			host.Logger().Error("cannot accept any more", "err", err)
		}
	})
	return s, nil
}

// handle runs the handler for one request.
func (s *Server) handle(w http.ResponseWriter, r *http.Request) {
	if !s.begin() {
		panic(http.ErrAbortHandler)
	}
	defer s.tasks.Done()
	defer func() {
		switch p := recover(); p {
		case nil:
		case http.ErrAbortHandler:
			panic(p)
		default:
			s.panicked("a handler panicked", p, "peer", r.RemoteAddr)
			Conn(r).Close()
			panic(http.ErrAbortHandler) // net/http closes the connection without a word more
		}
	}()
	s.handler.ServeHTTP(w, r)
}

// Go runs f in a goroutine that Stop waits for, and reports false when the server has
// stopped. A panic of f is logged and counted, and ends f alone.
func (s *Server) Go(f func()) bool {
	if !s.begin() {
		return false
	}
	go func() {
		defer s.tasks.Done()
		defer func() {
			if p := recover(); p != nil {
				s.panicked("a goroutine of Server.Go panicked", p)
			}
		}()
		f()
	}()
	return true
}

// panicked logs and counts a panic of the author's code. Its caller is the deferred function
// that recovered it, so the stack is that of the panic.
func (s *Server) panicked(what string, p any, about ...any) {
	s.host.Logger().Error(what, append(about, "panic", fmt.Sprint(p), "stack", string(debug.Stack()))...)
	s.host.Count("panics", 1)
}

func (s *Server) begin() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.stopped {
		s.tasks.Add(1)
	}
	return !s.stopped
}

// Drain takes no new connection any more, closes those between two requests, and those
// that serve one behind it. It does not wait. Source: plugin.Drainer.
func (s *Server) Drain() {
	s.listener.Close()
	s.http.SetKeepAlivesEnabled(false)
}

// Stop ends the context of every request, gives handlers a second to say goodbye, closes all
// connections and returns when no goroutine is left, or with ctx. Source: plugin.Service.
func (s *Server) Stop(ctx context.Context) error {
	s.Drain()
	s.cancel()
	gone := make(chan struct{})
	go func() {
		s.tasks.Wait()
		close(gone)
	}()
	goodbye := time.NewTimer(stopTime)
	defer goodbye.Stop()
	select {
	case <-gone:
	case <-goodbye.C:
	case <-ctx.Done():
	}
	none := s.end()
	s.http.Close()
	for _, c := range s.all() {
		c.Close()
	}
	for _, ended := range []<-chan struct{}{gone, none} {
		select {
		case <-ended:
		case <-ctx.Done():
			return fmt.Errorf("stop the HTTP server: a handler did not return: %w", ctx.Err())
		}
	}
	return nil
}

// end lets nothing begin any more; none is closed when there are no connections.
func (s *Server) end() (none <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stopped = true
	s.none = make(chan struct{})
	none = s.none
	s.tellNone()
	return none
}
