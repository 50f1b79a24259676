package launch

import (
	"bufio"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestOutputIsDrained(t *testing.T) {
	s := spec(t, "loud")
	var stdout, stderr <-chan string
	s.Stdout, stdout = collect()
	s.Stderr, stderr = collect()
	p := start(t, s)
	// It answers though it prints far more than a pipe holds.
	if _, err := p.Describe(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	out := <-stdout
	if !strings.Contains(out, "still here") || strings.Contains(out, "|grpc|") {
		t.Errorf("stdout has %d bytes: %.80q", len(out), out)
	}
	if len(<-stderr) == 0 {
		t.Error("nothing of stderr arrived")
	}
}

// TestReadersMayGiveUp: what a callback leaves is drained all the same.
func TestReadersMayGiveUp(t *testing.T) {
	s := spec(t, "loud")
	s.Stdout = func(io.Reader) {}
	s.Stderr = func(io.Reader) {}
	p := start(t, s)
	if _, err := p.Describe(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func TestBadJSONOnStderrHurtsNobody(t *testing.T) {
	s := spec(t, "exit:3")
	s.Path = filepath.Join(t.TempDir(), "antano-service-script")
	script := "#!/bin/sh\necho '{\"@message\": 1, \"@level\": []}' >&2\nexit 3\n"
	if err := os.WriteFile(s.Path, []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	_, err := Start(t.Context(), s)
	if !errors.Is(err, ErrExited) || !strings.Contains(err.Error(), `{"@message": 1`) {
		t.Errorf("got %v", err)
	}
}

// What a plugin prints through go-plugin arrives, each line whole and with its stream.
func TestPrintsThroughStdioArrive(t *testing.T) {
	s := spec(t, "print")
	got := make(chan string, 16)
	lines := func(stream string) func(io.Reader) {
		return func(r io.Reader) {
			for in := bufio.NewScanner(r); in.Scan(); {
				got <- stream + in.Text()
			}
		}
	}
	s.Stdout, s.Stderr = lines("out: "), lines("err: ")
	p := start(t, s)
	if _, err := p.Describe(t.Context()); err != nil {
		t.Fatal(err)
	}
	want := map[string]bool{"out: printed through stdio": true, "err: complained through stdio": true}
	for timeout := time.After(10 * time.Second); len(want) > 0; {
		select {
		case line := <-got:
			delete(want, line)
		case <-timeout:
			t.Fatalf("did not arrive: %v", want)
		}
	}
}
