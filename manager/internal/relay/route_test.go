package relay

import (
	"testing"

	"github.com/antano/antano/shared"
	"github.com/antano/antano/shared/wire"
)

// town is two services: 10 with processes 1, 2 and 3 (not up), 20 with process 4.
func town(t testing.TB, cfg Config) (g *rig, a, b, c *fake) {
	g = newRig(t, cfg)
	g.SetServices(map[int64][]uint16{10: {1, 2, 3}, 20: {4}, 30: {5}})
	return g, g.start(1, 10), g.start(2, 10), g.start(4, 20)
}

func TestRouteTable(t *testing.T) {
	_, a, b, c := town(t, Config{})
	b.join(7)
	foreign := int64(shared.NewClientID(2, 2, 1))
	for _, tt := range []struct {
		name string
		m    wire.Message
		edit func(*wire.Message)
		at   *fake
		code shared.Code
	}{
		{"client elsewhere", a.to(wire.KindClient, b.client(3), 1), nil, b, 0},
		{"client of its own", a.to(wire.KindClient, a.client(3), 1), nil, a, 0},
		{"client in its process", a.to(wire.KindClient, b.client(3), 1), func(m *wire.Message) { m.Process = 2 }, b, 0},
		{"client in another process", a.to(wire.KindClient, b.client(3), 1), func(m *wire.Message) { m.Process = 1 }, nil, shared.CodeNoSuchEntity},
		{"client never granted", a.to(wire.KindClient, b.client(4096), 1), nil, nil, shared.CodeNoSuchEntity},
		{"client with sequence 0", a.to(wire.KindClient, int64(shared.NewClientID(1, 2, 0)), 1), nil, nil, shared.CodeNoSuchEntity},
		{"client of a process never up", a.to(wire.KindClient, int64(shared.NewClientID(1, 3, 1)), 1), nil, nil, shared.CodeNoSuchEntity},
		{"client of another server", a.to(wire.KindClient, foreign, 1), nil, nil, shared.CodeNoSuchEntity},
		{"client over 2^53", a.to(wire.KindClient, b.client(3)|1<<53, 1), nil, nil, shared.CodeNoSuchEntity},
		{"client below 0", a.to(wire.KindClient, -1, 1), nil, nil, shared.CodeNoSuchEntity},
		{"service", a.to(wire.KindService, 20, 1), nil, c, 0},
		{"service in its process", a.to(wire.KindService, 10, 1), func(m *wire.Message) { m.Process = 2 }, b, 0},
		{"service in a process that is down", a.to(wire.KindService, 10, 1), func(m *wire.Message) { m.Process = 3 }, nil, shared.CodeNoSuchProcess},
		{"service in a process of another", a.to(wire.KindService, 10, 1), func(m *wire.Message) { m.Process = 4 }, nil, shared.CodeNoSuchProcess},
		{"service with none ready", a.to(wire.KindService, 30, 1), nil, nil, shared.CodeNoSuchProcess},
		{"service unknown", a.to(wire.KindService, 40, 1), nil, nil, shared.CodeNoSuchEntity},
		{"group", a.to(wire.KindGroup, 7, 1), nil, b, 0},
		{"group in its process", a.to(wire.KindGroup, 7, 1), func(m *wire.Message) { m.Process = 2 }, b, 0},
		{"group in a process without it", a.to(wire.KindGroup, 7, 1), func(m *wire.Message) { m.Process = 4 }, nil, shared.CodeNoSuchEntity},
		{"group in no process", a.to(wire.KindGroup, 7, 1), func(m *wire.Message) { m.Process = 9000 }, nil, shared.CodeNoSuchProcess},
		{"group in a process that is down", a.to(wire.KindGroup, 7, 1), func(m *wire.Message) { m.Process = 3 }, nil, shared.CodeNoSuchProcess},
		{"group without members", a.to(wire.KindGroup, 8, 1), nil, nil, shared.CodeNoSuchEntity},
		{"from its service", a.to(wire.KindClient, b.client(3), 1), func(m *wire.Message) { m.FromKind, m.FromID = wire.KindService, 10 }, b, 0},
		{"from another service", a.to(wire.KindClient, b.client(3), 1), func(m *wire.Message) { m.FromKind, m.FromID = wire.KindService, 20 }, nil, shared.CodeDenied},
		{"from another's client", a.to(wire.KindClient, b.client(3), 1), func(m *wire.Message) { m.FromID = b.client(0) }, nil, shared.CodeDenied},
		{"from a client not granted", a.to(wire.KindGroup, 7, 1), func(m *wire.Message) { m.FromID = a.client(4096) }, nil, shared.CodeDenied},
		{"from another server's client", a.to(wire.KindService, 40, 1), func(m *wire.Message) { m.FromID = int64(shared.NewClientID(2, 1, 1)) }, nil, shared.CodeDenied},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := tt.m
			m.Token = 0x1234_5678_9abc
			if tt.edit != nil {
				tt.edit(&m)
			}
			before := a.link.Stats().DropsFrom[tt.code]
			a.send(m)
			if tt.at == nil {
				a.wantResult(m.Token, tt.code)
				m.Token = 0
				a.send(m)
				a.nothing()
				if n := a.link.Stats().DropsFrom[tt.code] - before; n != 1 {
					t.Errorf("%d drops counted as %s, want 1", n, tt.code)
				}
				return
			}
			got := tt.at.message()
			if got.Token == 0 || got.Token == m.Token || got.FromProcess != 1 || string(got.Value) != `"hi"` {
				t.Errorf("got %+v", got)
			}
			tt.at.answer(got.Token, 1)
			a.wantResult(m.Token, shared.CodeNone)
			m.Token = 0
			a.send(m)
			if got := tt.at.message(); got.Token != 0 {
				t.Errorf("token %d where nobody waits", got.Token)
			}
		})
	}
}
