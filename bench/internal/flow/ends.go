package flow

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"time"
)

const (
	burstBytes     = 64 << 10
	burstDatagrams = 16
)

// send writes bursts while no more than a window is under way.
func (r *run) send(ctx context.Context, c net.Conn) error {
	burst := max(1, min(r.Window/4, burstBytes/len(r.Request)))
	if r.Datagrams {
		burst = max(1, min(r.Window/4, burstDatagrams))
	}
	all := bytes.Repeat(r.Request, burst)
	for time.Now().Before(r.until) && ctx.Err() == nil {
		if !r.room(burst) {
			continue
		}
		if err := r.write(c, all, burst); err != nil {
			return fmt.Errorf("send: %w", err)
		}
		r.sent += int64(burst)
	}
	return nil
}

// room waits until a burst more may be under way. Datagrams that do not come for long
// are given up.
func (r *run) room(burst int) bool {
	want := (r.sent + int64(burst) - int64(r.Window) - r.lost) * int64(len(r.each))
	if want <= 0 || r.came.total.Load() >= want {
		return true
	}
	if r.came.wait(want, quiet, r.until) {
		return true
	}
	if r.lossy() && time.Now().Before(r.until) {
		r.lost = r.sent - r.came.total.Load()/int64(len(r.each))
	}
	return false
}

func (r *run) write(c net.Conn, all []byte, burst int) error {
	if !r.Datagrams {
		_, err := c.Write(all)
		return err
	}
	for range burst {
		if _, err := c.Write(r.Request); err != nil {
			return err
		}
	}
	return nil
}

// receive compares what comes with what must come.
func (r *run) receive(c net.Conn, i int) error {
	err := r.compare(c, r.Arrival, r.Packets, func(n int) {
		r.each[i] += n
		r.last[i] = time.Now()
		r.came.add(n)
	})
	if err != nil {
		return fmt.Errorf("receiver %d after %d messages: %w", i, r.each[i], err)
	}
	return nil
}

func (r *run) acknowledge(c net.Conn) error {
	if err := r.compare(c, r.Receipt, r.Datagrams, r.answered.add); err != nil {
		return fmt.Errorf("receipt after %d: %w", r.answered.total.Load(), err)
	}
	return nil
}

// compare reads copies of want until the deadline, and tells how many came each time.
func (r *run) compare(c net.Conn, want []byte, packets bool, came func(int)) error {
	per := max(1, burstBytes/len(want))
	if len(r.each) > 100 || packets { // many receivers get little each
		per = max(1, 1<<10/len(want))
	}
	due := bytes.Repeat(want, per+1)
	buf := make([]byte, per*len(want))
	for rest := 0; ; { // rest: bytes of a message that began in an earlier read
		n, err := c.Read(buf)
		if n > 0 {
			if packets && n != len(want) || !bytes.Equal(buf[:n], due[rest:rest+n]) {
				return differ(buf[:n], due[rest:rest+n])
			}
			whole := (rest + n) / len(want)
			rest = (rest + n) % len(want)
			if whole > 0 {
				came(whole)
			}
		}
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded):
			return nil
		case errors.Is(err, io.EOF):
			return errors.New("the server closed the connection")
		case err != nil:
			return err
		}
	}
}

// differ shows where got is not want.
func differ(got, want []byte) error {
	at := 0
	for at < len(got) && got[at] == want[at] {
		at++
	}
	at = max(0, at-40)
	return fmt.Errorf("got %q where %q was due", clip(got[at:]), clip(want[at:]))
}

func clip(b []byte) []byte { return b[:min(len(b), 200)] }
