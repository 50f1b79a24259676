package main

import (
	"path/filepath"
	"testing"

	"github.com/antano/antano/bench/internal/flow"
	"github.com/antano/antano/internal/measure/peer"
)

// Every peer passes messages on between links and between raw clients.
func TestPeersPassMessagesOn(t *testing.T) {
	b := newBench("", 1, tiny)
	defer b.close()
	brokers, err := b.brokers(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Log(b.run.Peers)
	for _, br := range brokers {
		t.Run(br.name, func(t *testing.T) {
			testLinks(t, br)
			testWords(t, br)
		})
	}
	for _, kind := range []string{"bare", "lean", "grpc"} {
		t.Run(kind, func(t *testing.T) {
			c, address, err := startServer(t.Context(), role{Name: kind, Address: filepath.Join(t.TempDir(), "s"), Count: 2})
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			testLinks(t, broker{kind: kind, network: "unix", address: address, pid: c.PID()})
		})
	}
}

// Two processes with nothing between pass messages on, too.
func TestDirectLinks(t *testing.T) {
	for name, w := range map[string]peer.Work{"one way": {Kind: "oneway", Count: 20_000, Size: 2000}, "round trip": {Kind: "roundtrip", Count: 100, Size: 128}} {
		got, err := direct(t.Context(), w, 1)
		if err != nil || w.Kind == "oneway" && got.PerSecond <= 0 || w.Kind != "oneway" && got.P50us <= 0 {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
}

func testLinks(t *testing.T, br broker) {
	one := peer.Work{Kind: "oneway", Count: 20_000, Size: 2000}
	got, err := br.relay(t.Context(), one, 1)
	if err != nil || got.PerSecond <= 0 {
		t.Errorf("one way: %+v, %v", got, err)
	}
	if br.words == nil { // a bare relay has one pair of peers in its life
		return
	}
	got, err = br.relay(t.Context(), peer.Work{Kind: "roundtrip", Count: 100, Size: 2000}, 1)
	if err != nil || got.P50us <= 0 || got.P99us < got.P50us {
		t.Errorf("round trip: %+v, %v", got, err)
	}
}

func testWords(t *testing.T, br broker) {
	to, err := br.subscribers(3, "room/7")
	if err != nil {
		t.Fatal(err)
	}
	defer closeAll(to)
	from, err := br.publisher()
	if err != nil {
		t.Fatal(err)
	}
	defer from.Close()
	payload := message("room", 7, false)
	f := flow.Flow{Request: br.words.Publish("room/7", payload), Arrival: br.words.Arrival("room/7", payload), Window: 64, Length: tiny.length}
	got, err := f.Run(t.Context(), from, to)
	if err != nil || got.Sent == 0 || got.Delivered != 3*got.Sent {
		t.Errorf("%+v, %v", got, err)
	}
	f.Arrival[len(f.Arrival)-20] ^= 1
	if _, err := f.Run(t.Context(), from, to); err == nil {
		t.Error("a message that differs is no error")
	}
}
