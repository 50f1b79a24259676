package manager

import (
	"path/filepath"
	"testing"

	"github.com/antano/antano/manager/internal/runtimedir"
	"github.com/antano/antano/shared"
)

// What is told to be ready is that for a successor, too.
func TestReadyIsSaved(t *testing.T) {
	dir := home(t, "tcp")
	s, err := load(t, dir, "active_service:\n  - {id: 1, service_type: tcp, host: 127.0.0.1, port: 0, processes: 3}\n")
	if err != nil {
		t.Fatal(err)
	}
	run(t, s).awaitReady()
	state, err := runtimedir.ReadState(filepath.Join(dir, "run"))
	if err != nil {
		t.Fatal(err)
	}
	ready := 0
	for _, p := range state.Services[0].Processes {
		if p.Ready {
			ready++
		}
	}
	if ready != 3 {
		t.Errorf("%d processes are noted as ready, want 3", ready)
	}
}

// The adoption decision, in full.
func TestDecide(t *testing.T) {
	for _, c := range []struct {
		claim
		want fate
	}{
		{claim{alive: false}, gone},
		{claim{alive: false, planned: true}, gone},
		{claim{alive: false, draining: true}, gone},
		{claim{alive: false, ready: true, planned: true}, gone},
		{claim{alive: true}, destroy},
		{claim{alive: true, planned: true}, destroy},
		{claim{alive: true, draining: true}, dismiss},
		{claim{alive: true, draining: true, held: true}, dismiss},
		{claim{alive: true, draining: true, planned: true}, destroy},
		{claim{alive: true, draining: true, planned: true, held: true}, leave},
		{claim{alive: true, beside: true}, destroy},
		{claim{beside: true, planned: true}, gone},
		{claim{alive: true, beside: true, planned: true}, vie},
		{claim{alive: true, ready: true}, dismiss},
		{claim{alive: true, ready: true, planned: true}, adopt},
	} {
		if got := c.decide(); got != c.want {
			t.Errorf("%+v: %d, want %d", c.claim, got, c.want)
		}
	}
}

// Who serves of two generations between which clients were to move.
func TestRivals(t *testing.T) {
	for _, c := range []struct {
		rivals
		want bool
	}{
		{rivals{}, false},
		{rivals{oldRejoined: true}, false},
		{rivals{oldRejoined: true, oldHolds: true}, false},
		{rivals{newRejoined: true}, true},
		{rivals{newRejoined: true, oldHolds: true}, true}, // and is gone
		{rivals{newRejoined: true, oldRejoined: true}, true},
		{rivals{newRejoined: true, oldRejoined: true, oldHolds: true}, false},
	} {
		if got := c.newServes(); got != c.want {
			t.Errorf("%+v: %v", c.rivals, got)
		}
	}
}

// A service goes on only where its clients would find it.
func TestSucceeds(t *testing.T) {
	row := func(kind shared.Transport, host string, port int, endpoint string) PlannedService {
		return PlannedService{
			Plugin: Plugin{Description: shared.Description{Transport: kind}},
			Params: shared.ServiceParams{ID: 2, ServiceType: "t", Host: host, Port: port, Endpoint: endpoint},
		}
	}
	for _, c := range []struct {
		row     PlannedService
		id      int64
		kind    string
		address string
		want    bool
	}{
		{row(shared.TransportTCP, "127.0.0.1", 80, ""), 2, "t", "127.0.0.1:80", true},
		{row(shared.TransportTCP, "127.0.0.1", 0, ""), 2, "t", "127.0.0.1:4000", true},
		{row(shared.TransportUDP, "", 80, ""), 2, "t", "[::]:80", true},
		{row(shared.TransportTCP, "127.0.0.1", 81, ""), 2, "t", "127.0.0.1:80", false},
		{row(shared.TransportTCP, "127.0.0.2", 0, ""), 2, "t", "127.0.0.1:80", false},
		{row(shared.TransportTCP, "127.0.0.1", 80, ""), 2, "t", "/x", false},
		{row(shared.TransportTCP, "127.0.0.1", 80, ""), 3, "t", "127.0.0.1:80", false},
		{row(shared.TransportTCP, "127.0.0.1", 80, ""), 2, "other", "127.0.0.1:80", false},
		{row(shared.TransportUnix, "", 0, "/x"), 2, "t", "/x", true},
		{row(shared.TransportUnix, "", 0, "/x"), 2, "t", "/y", false},
		{row(shared.TransportNone, "", 0, ""), 2, "t", "", true},
		{row(shared.TransportNone, "", 0, ""), 2, "t", "/x", false},
	} {
		if got := c.row.succeeds(runtimedir.StateService{ID: c.id, Type: c.kind, Address: c.address}); got != c.want {
			t.Errorf("%s %s:%d%s after service %d at %q: %v", c.row.Plugin.Description.Transport, c.row.Params.Host, c.row.Params.Port, c.row.Params.Endpoint, c.id, c.address, got)
		}
	}
}
