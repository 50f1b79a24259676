package listener

import (
	"os"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// TestBacklog asks the kernel for the backlog of a listening TCP socket, which it
// reports in tcpi_sacked and cuts at somaxconn.
func TestBacklog(t *testing.T) {
	text, err := os.ReadFile("/proc/sys/net/core/somaxconn")
	if err != nil {
		t.Skip(err)
	}
	most, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	for given, want := range map[int]int{25: 25, 128: 128, 0: DefaultBacklog} {
		g, err := Bind(0, "127.0.0.1", TCP, given)
		if err != nil {
			t.Fatal(err)
		}
		defer g.Close()
		info, err := unix.GetsockoptTCPInfo(g.Sockets()[0].FD, unix.IPPROTO_TCP, unix.TCP_INFO)
		if err != nil {
			t.Fatal(err)
		}
		if got := int(info.Sacked); got != min(want, most) {
			t.Errorf("backlog %d: the kernel queues %d, want %d", given, got, min(want, most))
		}
	}
}
