package listener

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

var errBroken = errors.New("broken on purpose")

// broken fails its call number at, counted from 1, except close.
type broken struct {
	linux
	at, calls int
}

func (b *broken) fail() error {
	b.calls++
	if b.calls == b.at {
		return errBroken
	}
	return nil
}

func (b *broken) socket(domain, typ, proto int) (int, error) {
	if err := b.fail(); err != nil {
		return -1, err
	}
	return b.linux.socket(domain, typ, proto)
}

func (b *broken) set(fd, level, option, value int) error {
	return errors.Join(b.fail(), b.linux.set(fd, level, option, value))
}

func (b *broken) bind(fd int, sa unix.Sockaddr) error {
	if err := b.fail(); err != nil {
		return err
	}
	return b.linux.bind(fd, sa)
}

func (b *broken) listen(fd, backlog int) error {
	return errors.Join(b.fail(), b.linux.listen(fd, backlog))
}

func (b *broken) name(fd int) (unix.Sockaddr, error) {
	sa, err := b.linux.name(fd)
	return sa, errors.Join(b.fail(), err)
}

func (b *broken) fchmod(fd int, mode uint32) error {
	return errors.Join(b.fail(), b.linux.fchmod(fd, mode))
}

func (b *broken) chmod(path string, mode uint32) error {
	return errors.Join(b.fail(), b.linux.chmod(path, mode))
}

func (b *broken) lstat(path string, st *unix.Stat_t) error {
	if err := b.fail(); err != nil {
		return err
	}
	return b.linux.lstat(path, st)
}

// TestEveryFailedStepIsUndone lets each call to the system fail in turn and looks
// for descriptors and files left over.
func TestEveryFailedStepIsUndone(t *testing.T) {
	file := filepath.Join(t.TempDir(), "s")
	old := unix.Umask(0o077) // so that the mode is corrected after bind
	defer unix.Umask(old)
	for name, open := range map[string]func(kernel) (*Group, error){
		"tcp":       func(k kernel) (*Group, error) { return bind(k, 0, "::1", TCP, 0) },
		"udp":       func(k kernel) (*Group, error) { return bind(k, 0, "0.0.0.0", UDP, 0) },
		"stream":    func(k kernel) (*Group, error) { return bindUnix(k, file, 0o666, "stream", 0) },
		"dgram":     func(k kernel) (*Group, error) { return bindUnix(k, file, 0o666, "dgram", 0) },
		"seqpacket": func(k kernel) (*Group, error) { return bindUnix(k, file, 0o666, "seqpacket", 0) },
	} {
		t.Run(name, func(t *testing.T) {
			before := openDescriptors(t)
			failed := 0
			for at := 1; ; at++ {
				k := &broken{at: at}
				g, err := open(k)
				if k.calls < at { // no step left to break
					if err != nil {
						t.Fatal(err)
					}
					g.Close()
					break
				}
				if err == nil {
					g.Close() // a step that may fail: the forced receive buffer
				} else if !errors.Is(err, errBroken) {
					t.Errorf("step %d: %v", at, err)
				} else {
					failed++
				}
				if after := openDescriptors(t); after != before {
					t.Fatalf("step %d left %d descriptors", at, after-before)
				}
				if _, err := os.Lstat(file); !errors.Is(err, os.ErrNotExist) {
					t.Fatalf("step %d left the socket's file: %v", at, err)
				}
			}
			if failed < 5 {
				t.Errorf("only %d steps can fail", failed)
			}
		})
	}
}
