package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/antano/antano/internal/measure/peer"
	"github.com/antano/antano/internal/measure/rawplugin"
	"github.com/antano/antano/internal/measure/server"
)

// relay compares the manager's relay with the bare one and with the lean one: 128
// bytes between two processes through a third, one way and there and back.
func (b *bench) relay(ctx context.Context) error {
	works := []peer.Work{{Kind: "oneway", Count: 2_000_000, Size: 128}, {Kind: "roundtrip", Count: 20_000, Size: 128}}
	relays := []struct {
		name string
		run  func(context.Context, peer.Work) (peer.Result, error)
	}{
		{"bare", func(ctx context.Context, w peer.Work) (peer.Result, error) { return bareRelay(ctx, "bare", w) }},
		{"lean", func(ctx context.Context, w peer.Work) (peer.Result, error) { return bareRelay(ctx, "lean", w) }},
		{"antano", b.antanoRelay},
	}
	for range b.rounds {
		for _, w := range works {
			for _, r := range relays {
				got, err := r.run(ctx, w)
				if err != nil {
					return fmt.Errorf("%s %s: %w", r.name, w.Kind, err)
				}
				if w.Kind == "oneway" {
					b.table.Add("relay one way", r.name, "messages/s", got.PerSecond)
				} else {
					b.table.Add("relay round trip", r.name+" p50", "µs", got.P50us)
					b.table.Add("relay round trip", r.name+" p99", "µs", got.P99us)
				}
			}
		}
	}
	b.table.Compare("relay one way", "antano", "bare")
	b.table.Compare("relay one way", "lean", "bare")
	b.table.Compare("relay round trip", "antano p50", "bare p50")
	b.table.Compare("relay round trip", "lean p50", "bare p50")
	return nil
}

// bareRelay runs three children: the relay and both peers.
func bareRelay(ctx context.Context, kind string, w peer.Work) (peer.Result, error) {
	dir, err := os.MkdirTemp("", "ab")
	if err != nil {
		return peer.Result{}, err
	}
	defer os.RemoveAll(dir)
	socket := filepath.Join(dir, "relay.sock")
	middle, err := startChild(ctx, role{Name: kind, Socket: socket})
	if err != nil {
		return peer.Result{}, err
	}
	defer middle.stop()
	if err := waitFile(ctx, socket); err != nil {
		return peer.Result{}, err
	}
	source, err := startChild(ctx, role{Name: "source", Socket: socket, Work: w})
	if err != nil {
		return peer.Result{}, err
	}
	defer source.stop()
	sink, err := startChild(ctx, role{Name: "sink", Socket: socket, Work: w})
	if err != nil {
		return peer.Result{}, err
	}
	defer sink.stop()
	ofSource, err := source.result()
	if err != nil {
		return peer.Result{}, err
	}
	ofSink, err := sink.result()
	ofSource.PerSecond = ofSink.PerSecond
	return ofSource, err
}

// antanoRelay runs the same peers as two processes of one service.
func (b *bench) antanoRelay(ctx context.Context, w peer.Work) (peer.Result, error) {
	return rawplugin.Run(ctx, server.Config{Bin: b.bin, Level: "warn"}, w, 1)
}

// waitFile waits until a file is there, at most a minute.
func waitFile(ctx context.Context, file string) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for {
		if _, err := os.Stat(file); err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for %s: %w", file, ctx.Err())
		case <-time.After(2 * time.Millisecond):
		}
	}
}
