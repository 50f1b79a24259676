package control

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// serving runs a server of fake until the test ends and returns a client.
func serving(t *testing.T) (*Client, string) {
	t.Helper()
	l, path := listen(t)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- Serve(ctx, l, fake{}) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return NewClient(path), path
}

// TestStreamEnds reads an answer to its end, and one that is refused.
func TestStreamEnds(t *testing.T) {
	c, _ := serving(t)
	var got []string
	err := c.Stream(t.Context(), http.MethodGet, "/v1/logs", func(r json.RawMessage) error {
		got = append(got, string(r))
		return nil
	})
	if err != nil || !slices.Equal(got, []string{"2", "1", "0"}) {
		t.Errorf("got %v, %v", got, err)
	}
	if err := c.Stream(t.Context(), http.MethodGet, "/v1/logs?service=nope", nil); err == nil || !strings.Contains(err.Error(), "no service") {
		t.Errorf("got %v", err)
	}
}

// TestStreamGoesOn follows an endless answer until the reader has enough, and until it
// is told to end.
func TestStreamGoesOn(t *testing.T) {
	c, _ := serving(t)
	enough, n := errors.New("enough"), 0
	err := c.Stream(t.Context(), http.MethodGet, "/v1/events?service=tcp&process=2&since=5", func(r json.RawMessage) error {
		var q Query
		if err := json.Unmarshal(r, &q); err != nil || q != (Query{Service: "tcp", Process: "2", Since: 5, Follow: true}) {
			t.Fatalf("asked for %s, %v", r, err)
		}
		if n++; n == 1000 {
			return enough
		}
		return nil
	})
	if err != enough {
		t.Errorf("ended with %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	if err := c.Stream(ctx, http.MethodGet, "/v1/events", func(json.RawMessage) error { cancel(); return nil }); !errors.Is(err, context.Canceled) {
		t.Errorf("ended with %v", err)
	}
}

// TestStreamOutlivesTheLimitOfARequest waits longer for a record than a request may
// take to come.
func TestStreamOutlivesTheLimitOfARequest(t *testing.T) {
	l, path := listen(t)
	s := &http.Server{ReadTimeout: 20 * time.Millisecond}
	var all streams
	late := make(chan struct{})
	s.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { all.serve(w, r, &afterClose{late, r.Context()}) })
	go s.Serve(l)
	defer s.Close()
	go func() { defer close(late); <-time.After(200 * time.Millisecond) }()
	n := 0
	if err := NewClient(path).Stream(t.Context(), http.MethodGet, "/", func(json.RawMessage) error { n++; return nil }); err != nil || n != 1 {
		t.Errorf("%d records, %v", n, err)
	}
}

// afterClose has one record once a channel is closed.
type afterClose struct {
	late    chan struct{}
	request context.Context
}

func (a *afterClose) Next(ctx context.Context) ([]any, error) {
	if a.late == nil {
		return nil, nil
	}
	select {
	case <-a.late:
		a.late = nil
		return []any{1}, a.request.Err()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// TestTooManyStreams refuses one more, and takes it when another has ended.
func TestTooManyStreams(t *testing.T) {
	_, path := serving(t)
	var open []net.Conn
	ask := func() (net.Conn, string) {
		conn, err := net.Dial("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		fmt.Fprint(conn, "GET /v1/events HTTP/1.1\r\nHost: antano\r\n\r\n")
		line, err := bufio.NewReader(conn).ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		return conn, line
	}
	for range maxStreams { // none of which reads on
		conn, line := ask()
		if !strings.Contains(line, "200") {
			t.Fatalf("answered %s", line)
		}
		open = append(open, conn)
	}
	if _, line := ask(); !strings.Contains(line, "503") {
		t.Errorf("one more is answered %s", line)
	}
	open[0].Close()
	for deadline := time.Now().Add(10 * time.Second); ; <-time.After(time.Millisecond) {
		if _, line := ask(); strings.Contains(line, "200") {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("the place of a stream that ended is not free")
		}
	}
}

// TestBadRequests are answered with what is wrong with them.
func TestBadRequests(t *testing.T) {
	h := handler(fake{})
	for _, row := range []struct {
		method, target string
		code           int
		says           string
	}{
		{"GET", "/v1/events?since=x", 400, "since"},
		{"GET", "/v1/logs?follow=maybe", 400, "follow"},
		{"GET", "/v1/logs?process=1", 400, "service="},
		{"POST", "/v1/status", 404, "no POST /v1/status"},
		{"GET", "/v1/clients/7/kick", 404, "no GET"},
		{"POST", "/v1/clients/8/kick", 404, "client 8"},
		{"POST", "/v1/clients/7/kick", 200, "7"},
		{"GET", "/v1/services/tcp/why?process=2", 200, "tcp/2"},
	} {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(row.method, row.target, nil))
		if w.Code != row.code || !strings.Contains(w.Body.String(), row.says) {
			t.Errorf("%s %s: %d %s", row.method, row.target, w.Code, w.Body)
		}
	}
}

// TestSlowRequest cuts off a client that takes its time to ask.
func TestSlowRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ours, theirs := net.Pipe()
		l := &oneConn{conn: theirs, closed: make(chan struct{})}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- Serve(ctx, l, fake{}) }()
		began := time.Now()
		cut, written := make(chan struct{}), make(chan struct{})
		go func() {
			defer close(cut)
			_, _ = io.Copy(io.Discard, ours)
		}()
		go func() {
			defer close(written)
			for _, b := range []byte("GET /v1/status HTTP/1.1\r\nHost: antano\r\nX: " + strings.Repeat("y", 100)) {
				if _, err := ours.Write([]byte{b}); err != nil {
					return
				}
				time.Sleep(time.Second)
			}
		}()
		<-cut
		<-written
		if took := time.Since(began); took > 10*time.Second {
			t.Errorf("cut off after %s", took)
		}
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		ours.Close()
	})
}

// oneConn is a listener with one connection.
type oneConn struct {
	conn   net.Conn
	closed chan struct{}
}

func (l *oneConn) Accept() (net.Conn, error) {
	if conn := l.conn; conn != nil {
		l.conn = nil
		return conn, nil
	}
	<-l.closed
	return nil, net.ErrClosed
}

func (l *oneConn) Close() error {
	select {
	case <-l.closed:
	default:
		close(l.closed)
	}
	return nil
}

func (l *oneConn) Addr() net.Addr { return &net.UnixAddr{Name: "pipe", Net: "unix"} }

// FuzzRequest gives the server rubbish for a request: it answers or hangs up.
func FuzzRequest(f *testing.F) {
	f.Add([]byte("GET /v1/status HTTP/1.1\r\nHost: a\r\n\r\n"))
	f.Add([]byte("POST /v1/clients/%zz/kick HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999\r\n\r\nxxx"))
	f.Add([]byte("GET /v1/logs?follow=0&since=18446744073709551615&service=%00 HTTP/1.1\r\nHost: a\r\n\r\n"))
	f.Add([]byte("PUT /v1/services/../why HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\nffffffff\r\n"))
	f.Add([]byte("BREW / HTTP/9.9\r\n\r\n"))
	f.Fuzz(func(t *testing.T, request []byte) {
		in, err := http.ReadRequest(bufio.NewReader(strings.NewReader(string(request))))
		if err != nil {
			return // net/http's own
		}
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		w := httptest.NewRecorder()
		w.Body = nil // a stream of events is endless
		handler(fake{}).ServeHTTP(w, in.WithContext(ctx))
		if w.Code != 200 && w.Code != 307 && w.Code != 301 && (w.Code < 400 || w.Code > 503) {
			t.Errorf("answered %d", w.Code)
		}
	})
}
