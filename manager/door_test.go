package manager

import (
	"net"
	"path/filepath"
	"testing"
)

// Who comes to a door that is shut is let in when it opens; a shut one can be closed.
func TestDoor(t *testing.T) {
	path := filepath.Join(home(t), "s")
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	d := &door{UnixListener: l}
	came, ended := make(chan net.Conn), make(chan error)
	go func() {
		for {
			c, err := d.Accept()
			if err != nil {
				ended <- err
				return
			}
			came <- c
		}
	}()
	for range 3 {
		d.shut()
		d.shut()
		c, err := net.Dial("unix", path)
		if err != nil {
			t.Fatalf("refused at a door that is shut: %v", err)
		}
		select {
		case <-came:
			t.Error("somebody was let in")
		default:
		}
		d.open()
		d.open()
		(<-came).Close()
		c.Close()
	}
	d.shut()
	if err := d.Close(); err != nil {
		t.Error(err)
	}
	<-ended
}
