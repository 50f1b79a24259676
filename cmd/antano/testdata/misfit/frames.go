package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"syscall"

	"github.com/antano/antano/plugin"
	"github.com/antano/antano/shared"
	"github.com/antano/antano/shared/wire"
)

// liar describes everything and has nothing.
type liar struct{ kind string }

func (l liar) Describe() shared.Description {
	return shared.Description{
		Name: shared.PluginPrefix + l.kind, Version: "1.0.0", ServiceType: l.kind, Transport: shared.TransportTCP,
		Handler: true, CanSend: true, Handover: true,
		FormatsIn: []shared.FormatID{shared.FormatJSON}, FormatsOut: []shared.FormatID{shared.FormatJSON},
	}
}

func (liar) Start(context.Context, plugin.Host) error { return nil }
func (liar) Stop(context.Context) error               { return nil }

// relayLink is the descriptor of the link that the SDK opened.
func relayLink() (int, error) {
	for fd := 3; fd < 1024; fd++ {
		peer, err := syscall.Getpeername(fd)
		if err != nil {
			continue
		}
		if a, ok := peer.(*syscall.SockaddrUnix); ok && strings.HasSuffix(a.Name, "/relay.sock") {
			return fd, nil
		}
	}
	return 0, errors.New("there is no relay link")
}

// forge sends in the name of a client of another process, to itself, and in that of
// another service.
func forge(client int64) error {
	fd, err := relayLink()
	if err != nil {
		return err
	}
	m := wire.Message{Kind: wire.KindClient, EntityID: client, Process: wire.AnyProcess, FromKind: wire.KindClient, FromID: client,
		Format: shared.FormatJSON, Value: []byte(`"forged"`)}
	frames := wire.AppendMessage(nil, &m)
	m.FromKind, m.FromID = wire.KindService, 1
	frames = wire.AppendMessage(frames, &m)
	for _, t := range []wire.Type{wire.TypePause, wire.TypeSource, wire.TypeMember} { // and meddles with it
		switch t {
		case wire.TypePause:
			frames = wire.AppendPause(frames, t, &wire.Pause{Client: shared.ClientID(client), Process: 1, Budget: 60_000})
		case wire.TypeSource:
			frames = wire.AppendSource(frames, t, &wire.Source{Client: shared.ClientID(client)})
		case wire.TypeMember:
			frames = wire.AppendMember(frames, t, &wire.Member{Client: shared.ClientID(client), ID: 7, Entity: []byte("room")})
		}
	}
	if n, err := syscall.Write(fd, frames); err != nil || n != len(frames) {
		return fmt.Errorf("wrote %d of %d bytes: %w", n, len(frames), err)
	}
	return nil
}

// gossip sends many messages at a time to a group that has no members.
func (m *misfit) gossip() {
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 2000 {
				_, _ = m.host.PassThroughMessage(context.Background(), shared.Address{Entity: "nobody", ID: 1}, shared.AnyProcess, "is it not")
			}
		})
	}
	wg.Wait()
	m.host.Logger().Warn("the gossip is over")
}
