package web

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/antano/antano/plugin"
	"github.com/antano/antano/plugin/plugintest"
	"github.com/antano/antano/shared"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// service is the least that serves a handler.
type service struct {
	handler http.HandlerFunc
	*Server
}

func (s *service) Describe() shared.Description {
	return shared.Description{Name: "web", Version: "1", ServiceType: "web", Transport: shared.TransportTCP}
}

func (s *service) Start(_ context.Context, host plugin.Host) (err error) {
	s.Server, err = Serve(host, s.handler)
	return err
}

func (s *service) Drain(context.Context) error {
	s.Server.Drain()
	return nil
}

// ask sends a request as it is and returns the status line, "" when there is no answer.
func ask(t *testing.T, c net.Conn, request string) (string, *bufio.Reader) {
	t.Helper()
	if err := c.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(c, request); err != nil {
		t.Fatal(err)
	}
	r := bufio.NewReader(c)
	line, err := r.ReadString('\n')
	if ne, ok := errors.AsType[net.Error](err); ok && ne.Timeout() {
		t.Fatal(err)
	}
	return strings.TrimSpace(line), r
}

func dial(t *testing.T, h *plugintest.Harness) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", h.Address())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

const get = "GET / HTTP/1.1\r\nHost: x\r\n\r\n"

// TestPanic: a handler that panics ends its connection, hijacked or not, and no other.
func TestPanic(t *testing.T) {
	s := &service{}
	s.handler = func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/go":
			s.Go(func() { panic("in a goroutine") })
		case "/hijacked":
			if _, _, err := http.NewResponseController(w).Hijack(); err != nil {
				t.Error(err)
			}
			panic("after hijacking")
		case "/panic":
			panic("as asked")
		}
	}
	h := plugintest.Start(t, s, shared.ServiceParams{})
	for _, path := range []string{"/panic", "/hijacked"} {
		if got, _ := ask(t, dial(t, h), "GET "+path+" HTTP/1.1\r\nHost: x\r\n\r\n"); got != "" {
			t.Errorf("%s: %s", path, got)
		}
		if got, _ := ask(t, dial(t, h), get); got != "HTTP/1.1 200 OK" {
			t.Errorf("after %s: %s", path, got)
		}
	}
	if got, _ := ask(t, dial(t, h), "GET /go HTTP/1.1\r\nHost: x\r\n\r\n"); got != "HTTP/1.1 200 OK" {
		t.Errorf("/go: %s", got)
	}
	if err := s.Server.Stop(t.Context()); err != nil { // waits for the goroutine
		t.Error(err)
	}
	if got := h.Metric("panics"); got != 3 {
		t.Errorf("%d panics are counted, want 3", got)
	}
}

// TestDrain: no new connections, idle ones are closed, and a request under way is answered.
func TestDrain(t *testing.T) {
	began, goOn := make(chan struct{}), make(chan struct{})
	h := plugintest.Start(t, &service{handler: func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slow" {
			close(began)
			<-goOn
		}
	}}, shared.ServiceParams{})
	idle, busy := dial(t, h), dial(t, h)
	if got, _ := ask(t, idle, get); got != "HTTP/1.1 200 OK" {
		t.Fatal(got)
	}
	answered := make(chan string, 1)
	go func() {
		got, r := ask(t, busy, "GET /slow HTTP/1.1\r\nHost: x\r\n\r\n")
		rest, _ := io.ReadAll(r) // to the end of the connection
		answered <- got + string(rest)
	}()
	<-began
	h.Drain(t.Context())
	if rest, err := io.ReadAll(idle); err != nil || !strings.HasSuffix(string(rest), "\r\n\r\n") && len(rest) > 0 {
		t.Errorf("the idle connection got %q, %v", rest, err)
	}
	close(goOn)
	if got := <-answered; !strings.HasPrefix(got, "HTTP/1.1 200 OK") || !strings.Contains(got, "Connection: close") {
		t.Errorf("the request under way got %q", got)
	}
}

// TestStop ends the contexts of requests and closes what is hijacked.
func TestStop(t *testing.T) {
	ended := make(chan error, 1)
	began := make(chan struct{})
	h := plugintest.Start(t, &service{handler: func(w http.ResponseWriter, r *http.Request) {
		c, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
		}
		close(began)
		<-r.Context().Done()
		_, err = c.Read(make([]byte, 1)) // until the server closes it
		ended <- err
	}}, shared.ServiceParams{})
	if _, err := io.WriteString(dial(t, h), get); err != nil {
		t.Fatal(err)
	}
	<-began
	h.Stop()
	if err := <-ended; !errors.Is(err, net.ErrClosed) {
		t.Errorf("the handler's connection ended with %v", err)
	}
}

func TestOrigins(t *testing.T) {
	o, err := ParseOrigins([]string{"https://a.example", "http://b.example:8080", "null"})
	if err != nil {
		t.Fatal(err)
	}
	for origin, allowed := range map[string]bool{
		"": true, "http://here.example:80": true, "https://here.example:80": true, "HTTPS://A.example": true, "null": true,
		"http://b.example:8080": true, "http://b.example": false, "https://c.example": false, "https://a.example.c.example": false,
		"a.example": false, "%": false,
	} {
		r := httptest.NewRequest("GET", "/", nil)
		r.Host = "here.example:80"
		r.Header.Set("Origin", origin)
		if o.Allow(r) != allowed {
			t.Errorf("%q: %t", origin, !allowed)
		}
	}
	for _, bad := range []string{"", "a.example", "https://a.example/", "https://a.example/x", "https://u@a.example", "https://", "https://a?b", "%"} {
		if _, err := ParseOrigins([]string{bad}); err == nil {
			t.Errorf("%q is taken as an origin", bad)
		}
	}
	if !json.Valid([]byte(OriginsSchema)) {
		t.Error("the schema is no JSON")
	}
}

func TestStatus(t *testing.T) {
	for c := range shared.Code(shared.NumCodes) {
		if status := Status(c); (status == http.StatusInternalServerError) != (c == shared.CodeNone || c == shared.CodeKernel) {
			t.Errorf("%v is %d", c, status)
		}
	}
}

func TestPath(t *testing.T) {
	for endpoint, path := range map[string]string{"": "/", "/": "/", "chat": "/chat", "/chat": "/chat", "/a/b/": "/a/b"} {
		if got := Path(endpoint); got != path {
			t.Errorf("%q is %q, want %q", endpoint, got, path)
		}
	}
}

func TestIntake(t *testing.T) {
	in := NewIntake(shared.Limits{MaxMessageBytes: 100_000, ProcessQueueBytes: 150_000})
	for _, n := range []int{0, 1, pieceSize - 1, pieceSize, pieceSize + 1, 99_999, 100_000} {
		text := strings.Repeat("x", n)
		message, done, err := in.Read(&pieceReader{text, 1000})
		if err != nil || string(message) != text {
			t.Fatalf("%d bytes: %d, %v", n, len(message), err)
		}
		done()
	}
	code := func(err error) shared.Code {
		e, _ := errors.AsType[*shared.Error](err)
		if e == nil {
			return shared.CodeNone
		}
		return e.Code
	}
	if _, _, err := in.Read(&pieceReader{strings.Repeat("x", 100_001), 1000}); code(err) != shared.CodeTooLarge {
		t.Errorf("too large: %v", err)
	}
	_, done, err := in.Read(&pieceReader{strings.Repeat("x", 100_000), 1000})
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := in.Read(&pieceReader{strings.Repeat("x", 100_000), 1000}); code(err) != shared.CodeOverloaded {
		t.Errorf("a second one beside it: %v", err)
	}
	done()
	if in.used.Load() != 0 {
		t.Errorf("%d bytes are still held", in.used.Load())
	}
	if _, _, err := in.Read(io.LimitReader(brokenReader{}, 10)); !errors.Is(err, errBroken) {
		t.Errorf("a broken reader: %v", err)
	}
}

// pieceReader reads a few bytes at once, and may end with the last ones.
type pieceReader struct {
	text string
	most int
}

func (r *pieceReader) Read(p []byte) (n int, err error) {
	n = copy(p[:min(len(p), r.most)], r.text)
	if r.text = r.text[n:]; r.text == "" {
		err = io.EOF
	}
	return n, err
}

var errBroken = errors.New("broken")

type brokenReader struct{}

func (brokenReader) Read([]byte) (int, error) { return 0, errBroken }
