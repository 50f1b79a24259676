// Package rawplugin is a service plugin that speaks the protocol without the SDK,
// so that a relay benchmark measures the manager's relay and as little else as
// the bare yardstick does. Its settings are the work to do.
package rawplugin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	goplugin "github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"

	"github.com/antano/antano/internal/measure/peer"
	"github.com/antano/antano/shared"
	"github.com/antano/antano/shared/pluginpb"
	"github.com/antano/antano/shared/wire"
)

// Name is the service type; the plugin directory has this binary under it.
const Name = "bench"

// Settings is what the params say.
type Settings struct {
	peer.Work
	Out string `json:"out"` // directory for the results, and the file go that begins it
}

const schema = `{"type":"object","properties":{"kind":{"enum":["oneway","roundtrip"]},"count":{"type":"integer"},"size":{"type":"integer"},"out":{"type":"string"}},"required":["kind","count","size","out"]}`

// Serve runs the plugin; it returns when the manager is done with it.
func Serve() {
	goplugin.Serve(&goplugin.ServeConfig{
		HandshakeConfig: goplugin.HandshakeConfig{
			ProtocolVersion: shared.ProtocolVersion, MagicCookieKey: shared.CookieKey, MagicCookieValue: shared.CookieValue,
		},
		VersionedPlugins: map[int]goplugin.PluginSet{shared.ProtocolVersion: {"service": &grpcPlugin{}}},
		GRPCServer:       goplugin.DefaultGRPCServer,
	})
}

type grpcPlugin struct {
	goplugin.NetRPCUnsupportedPlugin
}

func (*grpcPlugin) GRPCServer(_ *goplugin.GRPCBroker, s *grpc.Server) error {
	pluginpb.RegisterPluginServer(s, &service{})
	return nil
}

func (*grpcPlugin) GRPCClient(context.Context, *goplugin.GRPCBroker, *grpc.ClientConn) (any, error) {
	return nil, errors.New("plugin side only")
}

type service struct {
	pluginpb.UnimplementedPluginServer
	once sync.Once
}

func (*service) Describe(context.Context, *pluginpb.DescribeRequest) (*pluginpb.DescribeResponse, error) {
	return &pluginpb.DescribeResponse{Name: "bench peer", Version: "1", ServiceType: Name, Handler: true, CanSend: true,
		Transport: string(shared.TransportNone), FormatsIn: []uint32{uint32(shared.FormatJSON)},
		FormatsOut: []uint32{uint32(shared.FormatJSON)}, SettingsSchema: []byte(schema)}, nil
}

func (s *service) Start(_ context.Context, r *pluginpb.StartRequest) (*pluginpb.StartResponse, error) {
	var params shared.ServiceParams
	var settings Settings
	if err := errors.Join(json.Unmarshal(r.Params, &params), json.Unmarshal(params.Settings, &settings)); err != nil {
		return nil, err
	}
	link, err := dial(r)
	if err != nil {
		return nil, err
	}
	go func() {
		defer link.conn.Close()
		if err := work(link, r, settings); err != nil {
			fmt.Fprintln(os.Stderr, "[ERROR]", err)
		}
	}()
	return &pluginpb.StartResponse{}, nil
}

// work runs the part of this process: of the processes 1, 2, 3 … of the service the odd
// ones are sources, each for the next one.
func work(link *Link, r *pluginpb.StartRequest, s Settings) error {
	run, name := peer.Sink, fmt.Sprintf("sink-%d", r.ProcessId)
	link.to = uint16(r.ProcessId) - 1
	if r.ProcessId%2 == 1 {
		run, name = peer.Source, fmt.Sprintf("source-%d", r.ProcessId)
		link.to = uint16(r.ProcessId) + 1
		if err := link.waitForPeer(filepath.Join(s.Out, "go")); err != nil {
			return err
		}
	}
	result, err := run(link, s.Work)
	if err != nil {
		return err
	}
	b, err := json.Marshal(result)
	if err != nil {
		return err
	}
	file := filepath.Join(s.Out, name+".json")
	if err := os.WriteFile(file+".tmp", b, 0o600); err != nil {
		return err
	}
	if err := os.Rename(file+".tmp", file); err != nil {
		return err
	}
	for { // the manager expects a link that answers
		if _, err := link.Receive(); err != nil {
			return nil
		}
	}
}

func (*service) Drain(context.Context, *pluginpb.DrainRequest) (*pluginpb.DrainResponse, error) {
	return &pluginpb.DrainResponse{}, nil
}

func (s *service) Stop(context.Context, *pluginpb.StopRequest) (*pluginpb.StopResponse, error) {
	s.once.Do(func() { go os.Exit(0) })
	return &pluginpb.StopResponse{}, nil
}

// Link is a relay link with one goroutine on it: it implements peer.Link.
type Link struct {
	conn    *net.UnixConn
	r       *wire.Reader
	out     []byte
	to      uint16
	service int64
	window  int
	head    []byte // of the frame of a message of size bytes
	size    int
	in      wire.Message
	early   [][]byte // messages that came while Send waited for credit
}

func dial(r *pluginpb.StartRequest) (*Link, error) {
	conn, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: r.RelaySocket, Net: "unix"})
	if err != nil {
		return nil, err
	}
	l := &Link{conn: conn, r: wire.NewReader(conn), service: r.ServiceId}
	hello := wire.Hello{Version: shared.ProtocolVersion, Process: uint16(r.ProcessId), Generation: r.Generation}
	copy(hello.Secret[:], r.Secret)
	if _, err := conn.Write(wire.AppendHello(nil, &hello)); err != nil {
		return nil, err
	}
	f, err := l.r.Next()
	if err != nil {
		return nil, err
	}
	var w wire.Welcome
	if err := w.Parse(f.Body); err != nil {
		return nil, err
	}
	l.window = int(w.Window)
	return l, nil
}

// waitForPeer holds the source back until the harness saw every process ready. It
// answers the manager's questions meanwhile.
func (l *Link) waitForPeer(file string) error {
	for {
		if _, err := os.Stat(file); err == nil {
			return l.conn.SetReadDeadline(time.Time{})
		}
		if err := l.conn.SetReadDeadline(time.Now().Add(5 * time.Millisecond)); err != nil {
			return err
		}
		f, err := l.r.Next()
		if errors.Is(err, os.ErrDeadlineExceeded) {
			continue
		}
		if err != nil {
			return err
		}
		if err := l.control(f); err != nil {
			return err
		}
		if err := l.Flush(); err != nil {
			return err
		}
	}
}

// Send queues a message for the other process and waits for credit when the
// window is used up.
func (l *Link) Send(payload []byte) error {
	for l.window <= 0 {
		if err := l.Flush(); err != nil {
			return err
		}
		f, err := l.r.Next()
		if err != nil {
			return err
		}
		if err := l.hold(f); err != nil {
			return err
		}
	}
	if len(l.head) != wire.MessageOverhead || len(payload) != l.size {
		m := wire.Message{Flags: wire.FlagStream, Kind: wire.KindService, EntityID: l.service, Process: l.to,
			FromKind: wire.KindService, FromID: l.service, Format: shared.FormatJSON, Value: payload}
		l.head, l.size = wire.AppendMessage(l.head[:0], &m)[:wire.MessageOverhead], len(payload)
	}
	l.out = append(append(l.out, l.head...), payload...)
	l.window -= wire.MessageOverhead + len(payload)
	if len(l.out) >= 64<<10 {
		return l.Flush()
	}
	return nil
}

// Flush writes what is queued.
func (l *Link) Flush() error {
	if len(l.out) == 0 {
		return nil
	}
	_, err := l.conn.Write(l.out)
	l.out = l.out[:0]
	return err
}

// hold keeps a message for Receive, and does what any other frame asks for.
func (l *Link) hold(f wire.Frame) error {
	if f.Type != wire.TypeMessage {
		return l.control(f)
	}
	var m wire.Message
	if err := m.Parse(f.Body); err != nil {
		return err
	}
	l.early = append(l.early, slices.Clone(m.Value))
	return nil
}

// Receive returns the next message.
func (l *Link) Receive() ([]byte, error) {
	if len(l.early) > 0 {
		m := l.early[0]
		l.early = l.early[1:]
		return m, nil
	}
	for {
		f, err := l.r.Next()
		if err != nil {
			return nil, err
		}
		if f.Type == wire.TypeMessage {
			err := l.in.Parse(f.Body)
			return l.in.Value, err
		}
		if err := l.control(f); err != nil {
			return nil, err
		}
		if l.r.Dry() {
			if err := l.Flush(); err != nil {
				return nil, err
			}
		}
	}
}

func (l *Link) control(f wire.Frame) error {
	switch f.Type {
	case wire.TypeCredit:
		var c wire.Credit
		if err := c.Parse(f.Body); err != nil {
			return err
		}
		l.window += int(c.Bytes)
	case wire.TypeHealth:
		nonce, err := wire.ParseU64(f.Body)
		if err != nil {
			return err
		}
		l.out = wire.AppendHealthOK(l.out, &wire.HealthOK{Nonce: nonce})
	case wire.TypeSlots:
		slots, err := wire.ParseU64(f.Body)
		if err != nil {
			return err
		}
		l.out = wire.AppendSlots(l.out, wire.TypeSlotsOK, slots)
	}
	return nil
}
