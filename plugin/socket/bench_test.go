package socket

import (
	"fmt"
	"net"
	"testing"

	"golang.org/x/sys/unix"
)

// BenchmarkDatagrams echoes a burst of datagrams of one source, beside the same by the net
// package. What an operation costs is mostly the kernel's.
func BenchmarkDatagrams(b *testing.B) {
	for _, burst := range []int{1, 16} {
		b.Run(fmt.Sprintf("net/x%d", burst), func(b *testing.B) {
			server, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IP(loopback[:])})
			if err != nil {
				b.Fatal(err)
			}
			defer server.Close()
			buffer := make([]byte, 1<<16)
			echo(b, burst, server.LocalAddr().String(), func() {
				for range burst {
					n, from, err := server.ReadFromUDPAddrPort(buffer)
					if err != nil {
						b.Fatal(err)
					}
					if _, err := server.WriteToUDPAddrPort(buffer[:n], from); err != nil {
						b.Fatal(err)
					}
				}
			})
		})
		b.Run(fmt.Sprintf("batch/x%d", burst), func(b *testing.B) {
			fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
			if err != nil {
				b.Fatal(err)
			}
			defer unix.Close(fd)
			if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: loopback}); err != nil {
				b.Fatal(err)
			}
			bound, err := unix.Getsockname(fd)
			if err != nil {
				b.Fatal(err)
			}
			port := bound.(*unix.SockaddrInet4).Port
			batch, answers := newInBatch(1<<16), make([][]byte, maxBatch)
			echo(b, burst, fmt.Sprintf("127.0.0.1:%d", port), func() {
				n, _, err := batch.read(fd, false)
				if err != nil || n != burst {
					b.Fatal(n, err)
				}
				var d datagram
				for i := range n {
					d, answers[i] = batch.datagram(i)
				}
				if sent, err := sendTo(fd, d.from, nil, answers[:n]); err != nil || sent != n {
					b.Fatal(sent, err)
				}
			})
		})
	}
}

// echo has the server answer bursts of one client.
func echo(b *testing.B, burst int, address string, answer func()) {
	client, err := net.Dial("udp", address)
	if err != nil {
		b.Fatal(err)
	}
	defer client.Close()
	message, buffer := make([]byte, 128), make([]byte, 1000)
	b.ReportAllocs()
	for b.Loop() {
		for range burst {
			if _, err := client.Write(message); err != nil {
				b.Fatal(err)
			}
		}
		answer()
		for range burst {
			if _, err := client.Read(buffer); err != nil {
				b.Fatal(err)
			}
		}
	}
}
