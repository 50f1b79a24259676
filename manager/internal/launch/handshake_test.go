package launch

import (
	"strings"
	"testing"

	"github.com/antano/antano/shared"
)

// FuzzHandshake: whatever is printed, what is accepted names a socket in the
// directory, and what is refused is shown harmlessly.
func FuzzHandshake(f *testing.F) {
	for _, line := range []string{
		"1|1|unix|/run/p1/plugin1|grpc|\n", "1|1|unix|/run/p1/plugin1|grpc||true\n", "1|1|unix|/run/p1/../x|grpc",
		"1|1|tcp|127.0.0.1:80|grpc|\n", "1|1|unix|/run/p1/plugin1|grpc|AAAA", "\x00|\x1b[2J|||", "",
	} {
		f.Add(line)
	}
	f.Fuzz(func(t *testing.T, line string) {
		err := checkHandshake(line, "/run/p1")
		if err == nil {
			fields := strings.Split(strings.TrimSpace(line), "|")
			if !strings.HasPrefix(fields[3], "/run/p1/") || strings.Contains(fields[3][8:], "/") || fields[2] != "unix" {
				t.Errorf("accepted %q", line)
			}
			return
		}
		for _, r := range err.Error() {
			if r < ' ' || r == 0x7f {
				t.Errorf("%q can act on a terminal", err)
			}
		}
	})
}

func TestHandshakeAccepts(t *testing.T) {
	for _, line := range []string{
		"1|1|unix|/run/p1/plugin1|grpc", "1|1|unix|/run/p1/plugin1|grpc|\n", " 1|1|unix|/run/p1/plugin1|grpc||true\r\n",
	} {
		if err := checkHandshake(line, "/run/p1"); err != nil {
			t.Errorf("%q: %v", line, err)
		}
	}
	if shared.ProtocolVersion != 1 {
		t.Error("the lines above are of version 1")
	}
}
