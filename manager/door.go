package manager

import (
	"errors"
	"net"
	"os"
	"sync"
	"time"
)

// door is a listening socket that can be held shut: who comes then waits in its backlog.
type door struct {
	*net.UnixListener

	mu     sync.Mutex    // guards what follows
	opened chan struct{} // closed when it is open again; nil while it is
}

// shut has nobody let in any more; open ends that.
func (d *door) shut() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.opened == nil {
		d.opened = make(chan struct{})
		_ = d.SetDeadline(time.Unix(1, 0)) // closed: nobody comes
	}
}

func (d *door) open() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.opened != nil {
		_ = d.SetDeadline(time.Time{})
		close(d.opened)
		d.opened = nil
	}
}

// Accept implements net.Listener.
func (d *door) Accept() (net.Conn, error) {
	for {
		conn, err := d.UnixListener.Accept()
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			return conn, err
		}
		d.mu.Lock()
		opened := d.opened
		d.mu.Unlock()
		if opened != nil {
			<-opened
		}
	}
}

// Close implements net.Listener; it also opens.
func (d *door) Close() error {
	err := d.UnixListener.Close()
	d.open()
	return err
}
