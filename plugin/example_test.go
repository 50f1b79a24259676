package plugin_test

import (
	"bufio"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strings"
	"testing"

	"github.com/antano/antano/plugin"
	"github.com/antano/antano/plugin/plugintest"
	"github.com/antano/antano/shared"
)

// withLog is a host with another logger.
type withLog struct {
	plugin.Host
	log *slog.Logger
}

func (h withLog) Logger() *slog.Logger { return h.log }

// TestExamples runs the services of the examples.
func TestExamples(t *testing.T) {
	t.Run("echo", func(t *testing.T) {
		client := plugintest.Start(t, echo{}, shared.ServiceParams{}).Peer()
		client.Send(`{"entity":"service","entity_id":2,"message":{"a":[1]}}`)
		if got := client.Next(); !strings.Contains(got, `"message":{"a":[1]}`) {
			t.Error(got)
		}
	})
	t.Run("settings", func(t *testing.T) {
		h := plugintest.Start(t, &clock{}, shared.ServiceParams{Settings: []byte(`{"layout":"it is late"}`)})
		client := h.Peer()
		client.Send(`{"entity":"service","entity_id":2,"message":null}`)
		if got := client.Next(); !strings.Contains(got, `"message":"it is late"`) || h.Metric("questions") != 1 {
			t.Error(got, h.Metric("questions"))
		}
	})
	t.Run("hclog", func(t *testing.T) {
		var out strings.Builder
		h := withLog{plugintest.Start(t, &archive{}, shared.ServiceParams{}).Host(), slog.New(slog.NewTextHandler(&out, nil))}
		a := &archive{}
		if err := a.Start(t.Context(), h); err != nil {
			t.Fatal(err)
		}
		_, _ = a.OnReceivedMessage(t.Context(), &shared.Message{Value: []byte("12345")})
		if got := out.String(); !strings.Contains(got, `level=WARN msg="nothing is kept yet" module=archive.store bytes=5`) {
			t.Error(got)
		}
	})
	t.Run("transport", func(t *testing.T) {
		h := plugintest.Start(t, &board{}, shared.ServiceParams{})
		conn, err := net.Dial("tcp", h.Address())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		lines := bufio.NewReader(conn)
		fmt.Fprintln(conn, `{"type":"ping"}`)
		lines.ReadString('\n') // joined, or pong
		lines.ReadString('\n')
		h.Peer().Send(`{"entity":"board","entity_id":1,"message":"to all"}`)
		if got, err := lines.ReadString('\n'); err != nil || !strings.Contains(got, `"to all"`) || h.Health() != "" {
			t.Error(got, err, h.Health())
		}
		if n := h.Drain(t.Context()); n != 0 {
			t.Errorf("%d clients were not done", n)
		}
	})
}

// TestExamplesAreShort keeps what README and package comment promise.
func TestExamplesAreShort(t *testing.T) {
	for file, most := range map[string]int{"example_echo_test.go": 30, "example_transport_test.go": 150} {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if n := strings.Count(string(text), "\n"); n >= most {
			t.Errorf("%s has %d lines, not under %d", file, n, most)
		}
	}
}
