// Package echo is the plain Go server that ping is compared with: what comes in goes
// back, lines on streams and datagrams elsewhere, written as one writes it in Go.
package echo

import (
	"bufio"
	"net"
)

// Serve echoes until listening fails: network is tcp, unix or udp.
func Serve(network, address string, listening func(net.Addr)) error {
	if network == "udp" {
		c, err := net.ListenPacket(network, address)
		if err != nil {
			return err
		}
		_ = c.(*net.UDPConn).SetReadBuffer(4 << 20) // as antano's
		listening(c.LocalAddr())
		return datagrams(c)
	}
	l, err := net.Listen(network, address)
	if err != nil {
		return err
	}
	listening(l.Addr())
	for {
		c, err := l.Accept()
		if err != nil {
			return err
		}
		go stream(c)
	}
}

func datagrams(c net.PacketConn) error {
	buf := make([]byte, 64<<10)
	for {
		n, from, err := c.(*net.UDPConn).ReadFromUDPAddrPort(buf)
		if err != nil {
			return err
		}
		if _, err := c.(*net.UDPConn).WriteToUDPAddrPort(buf[:n], from); err != nil {
			return err
		}
	}
}

func stream(c net.Conn) {
	defer c.Close()
	r, w := bufio.NewReader(c), bufio.NewWriter(c)
	for {
		line, err := r.ReadSlice('\n')
		if err != nil {
			return
		}
		if _, err := w.Write(line); err != nil {
			return
		}
		if r.Buffered() == 0 && w.Flush() != nil {
			return
		}
	}
}
