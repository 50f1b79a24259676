package point

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/antano/antano/manager/conformance/internal/rig"
)

// output fills the FIFOs that the process prints into, as a manager that hangs lets
// them.
func output(t *trial) (string, error) {
	r, p, err := t.serve(nil, rig.Deaf())
	if err != nil {
		return "", err
	}
	for _, name := range []string{"stdout", "stderr"} {
		if err := fill(filepath.Join(p.Dir, name)); err != nil {
			return "", err
		}
	}
	if t.lacks(clients) == "" {
		c, err := t.connect(r)
		if err != nil {
			return "", err
		}
		for range 20 {
			if _, err := c.Ask(t.ctx, `this is no message`); err != nil {
				return "", fmt.Errorf("nobody reads its stdout and stderr: %w; do not wait for who reads the log", err)
			}
		}
	}
	if _, err := p.Link.Health(t.ctx, 1); err != nil {
		return "", fmt.Errorf("nobody reads its stdout and stderr: %w; do not wait for who reads the log", err)
	}
	if err := p.Signal(syscall.SIGTERM); err != nil {
		return "", err
	}
	return "with full FIFOs it served, drained and exited 0", t.exits(p, 0, "nobody reads its stdout and stderr; after SIGTERM")
}

// fill writes into a FIFO until it takes nothing more.
func fill(path string) error {
	fd, err := unix.Open(path, unix.O_WRONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return &os.PathError{Op: "open", Path: path, Err: err}
	}
	defer unix.Close(fd)
	line := []byte("\n")
	for {
		if _, err := unix.Write(fd, line); errors.Is(err, unix.EAGAIN) {
			return nil
		} else if err != nil {
			return &os.PathError{Op: "write", Path: path, Err: err}
		}
	}
}

// restart kills the first generation and has a client come before the second is up.
func restart(t *trial) (string, error) {
	r, p, err := t.serve(nil)
	if err != nil {
		return "", err
	}
	talks := t.lacks(clients) == ""
	if talks {
		if _, err := t.join(r); err != nil {
			return "", err
		}
	}
	if err := r.SocketsIntact(); err != nil {
		return "", err
	}
	if err := p.SignalGroup(syscall.SIGKILL); err != nil {
		return "", err
	}
	if _, err := p.Ended(t.ctx); err != nil {
		return "", err
	}
	if err := r.SocketsIntact(); err != nil {
		return "", err
	}
	var ask func() error
	if talks {
		c, err := t.connect(r)
		if err != nil {
			return "", fmt.Errorf("while no process runs: %w", err)
		}
		if err := c.Send(`{"type":"ping","id":1}`); err != nil {
			return "", err
		}
		ask = func() error {
			_, err := c.Receive(t.ctx)
			return err
		}
	}
	next, err := r.Serve(t.ctx, rig.Generation(2))
	if err != nil {
		return "", fmt.Errorf("the second generation: %w", err)
	}
	if err := checkHello(next.Link, next, next.Link.First.Type); err != nil {
		return "", err
	}
	if ask != nil {
		if err := ask(); err != nil {
			return "", fmt.Errorf("a client that came between two generations: %w", err)
		}
	}
	if err := t.stops(next); err != nil {
		return "", err
	}
	return "the second generation serves; the sockets are as they were", r.SocketsIntact()
}
