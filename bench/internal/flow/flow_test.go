package flow

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

// relayed connects a sender and receivers with a server between them, that does to each
// line what change says: how often it is passed on.
func relayed(t *testing.T, receivers int, change func(n int) int) (from net.Conn, to []net.Conn) {
	t.Helper()
	from, in := net.Pipe()
	var outs []net.Conn
	for range receivers {
		out, c := net.Pipe()
		outs, to = append(outs, out), append(to, c)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		r := bufio.NewReader(in)
		for n := 0; ; n++ {
			line, err := r.ReadBytes('\n')
			if err != nil {
				return
			}
			for range change(n) {
				for _, out := range outs {
					if _, err := out.Write(line); err != nil {
						return
					}
				}
			}
		}
	}()
	t.Cleanup(func() {
		for _, c := range append(append(to, outs...), from, in) {
			c.Close()
		}
		<-done
	})
	return from, to
}

func flow() Flow {
	return Flow{Request: []byte("hello\n"), Arrival: []byte("hello\n"), Window: 64, Length: 20 * time.Millisecond}
}

func TestFlowCountsWhatArrives(t *testing.T) {
	from, to := relayed(t, 3, func(int) int { return 1 })
	got, err := flow().Run(t.Context(), from, to)
	if err != nil || got.Sent == 0 || got.Delivered != 3*got.Sent || got.Lost != 0 || got.PerSecond <= 0 {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestFlowFailsWhenAMessageComesTwice(t *testing.T) {
	from, to := relayed(t, 1, func(n int) int { return 1 + n%2 })
	if got, err := flow().Run(t.Context(), from, to); err == nil {
		t.Errorf("no error but %+v", got)
	}
}

func TestFlowCountsLostDatagrams(t *testing.T) {
	from, to := relayed(t, 1, func(n int) int { return (n + 1) % 2 })
	f := flow()
	f.Datagrams = true
	got, err := f.Run(t.Context(), from, to)
	if err != nil || got.Lost == 0 || got.Delivered+got.Lost != got.Sent {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestFlowFailsOnOtherBytes(t *testing.T) {
	from, to := relayed(t, 1, func(int) int { return 1 })
	f := flow()
	f.Arrival = []byte("hellO\n")
	if _, err := f.Run(t.Context(), from, to); err == nil || !strings.Contains(err.Error(), "was due") {
		t.Errorf("error %v", err)
	}
}

func TestFlowEndsWithItsContext(t *testing.T) {
	from, to := relayed(t, 1, func(int) int { return 0 })
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(io.ErrUnexpectedEOF)
	f := flow()
	f.Length = time.Hour
	if _, err := f.Run(ctx, from, to); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("error %v", err)
	}
}
