package params

import (
	"errors"
	"strings"
	"testing"
)

func TestSelectServer(t *testing.T) {
	const rows = "active_service:\n  - {id: 1, antano_server_id: 2, service_type: tcp, port: 1}\n" +
		"  - {id: 2, antano_server_id: 3, service_type: tcp, port: 1}\n"
	const one = "antano_server: [{id: 2}]\nactive_service: [{id: 1, antano_server_id: 2, service_type: tcp, port: 1}]\n"
	const several = "antano_server: [{id: 2}, {id: 3, name: x}, {id: 4}]\n" + rows
	tests := []struct {
		name, in string
		id       int
		given    bool
		want     string // name of the server, or the beginning of the error
		row      int64
	}{
		{"the only one", one, 0, false, "antano-2", 1},
		{"the only one by id", one, 2, true, "antano-2", 1},
		{"another than the only one", one, 1, true, "server 1 is not listed in antano_server; use one of 2 (antano-2)", 0},
		{"one of several", several, 3, true, "x", 2},
		{"several", several, 0, false, "several servers are listed; choose one with --id: 2 (antano-2), 3 (x), 4 (antano-4)", 0},
		{"listed without rows", several, 4, true, "server 4 has no services", 0},
		{"none listed", row("service_type: tcp, port: 1"), 0, false, "antano-1", 1},
		{"none listed, by id", rows, 3, true, "antano-3", 2},
		{"none listed, no rows", rows, 0, false, "server 1 has no services", 0},
		{"out of range", rows, 256, true, "server 256 cannot be", 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p, err := Parse("f", []byte(tt.in))
			if err != nil {
				t.Fatal(err)
			}
			srv, got, err := p.SelectServer(tt.id, tt.given)
			if err != nil {
				if tt.row != 0 || !strings.HasPrefix(err.Error(), tt.want) {
					t.Errorf("got error %q, want %q", err, tt.want)
				}
				return
			}
			if srv.Name != tt.want || len(got) != 1 || got[0].ID != tt.row {
				t.Errorf("got %v with %d rows, want %s with row %d", srv, len(got), tt.want, tt.row)
			}
		})
	}
	p, _ := Parse("f", []byte(several))
	if _, _, err := p.SelectServer(0, false); !errors.Is(err, ErrAmbiguousServer) {
		t.Errorf("got %v, want ErrAmbiguousServer", err)
	}
}
