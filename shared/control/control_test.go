package control

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/antano/antano/shared"
	"github.com/antano/antano/shared/pluginpb"
)

func sampleDescription() shared.Description {
	return shared.Description{
		Name: "antano-service-tcp", Version: "v0.1.0", ServiceType: "tcp", CanSend: true, Handler: true,
		Handover: true, Transport: shared.TransportTCP,
		FormatsIn:  []shared.FormatID{shared.FormatJSON, shared.FormatMsgpack},
		FormatsOut: []shared.FormatID{shared.FormatBinary, 255},
		Settings:   json.RawMessage(`{"type":"object"}`),
	}
}

func sampleStart() Start {
	s := Start{
		Identity: shared.Identity{ServerID: 255, ServiceID: 2, ProcessID: shared.MaxProcessID, Generation: 7, Service: "chat"},
		Params: shared.ServiceParams{
			ID: 2, AntanoServerID: 255, ServiceTypeID: 2, ServiceType: "tcp", Name: "chat", Host: "0.0.0.0", Port: 18002,
			MessageFormatIn: shared.FormatJSON, MessageFormatOut: shared.FormatMsgpack, FramingIn: shared.FramingLine,
			FramingOut: shared.FramingLength32, Processes: 4, Backlog: 4096,
			ForwardTo: shared.Address{Entity: "room", ID: 9_007_199_254_740_993}, Limits: shared.DefaultLimits(),
			Settings: json.RawMessage(`{"a":9007199254740993}`),
		},
		RelaySocket: "/run/antano/1/relay.sock", ShareRow: 3, ShareRows: 4,
		PushBack: time.Second, HandlerTimeout: 30 * time.Second, AdoptionWindow: 15 * time.Second,
	}
	for i := range s.Secret {
		s.Secret[i] = byte(i)
	}
	return s
}

// overTheWire returns what arrives at the other side.
func overTheWire[M proto.Message](t *testing.T, m, into M) M {
	t.Helper()
	b, err := proto.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	if err := proto.Unmarshal(b, into); err != nil {
		t.Fatal(err)
	}
	return into
}

func TestDescriptionRoundTrip(t *testing.T) {
	bare := sampleDescription()
	bare.Settings, bare.Version, bare.Transport = nil, "", shared.TransportNone
	for _, want := range []shared.Description{sampleDescription(), bare} {
		got, err := ToDescription(overTheWire(t, FromDescription(want), &pluginpb.DescribeResponse{}))
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("got %+v, want %+v", got, want)
		}
	}
}

func TestToDescriptionRefuses(t *testing.T) {
	tests := map[string]struct {
		spoil func(*pluginpb.DescribeResponse)
		names string
	}{
		"no name":             {func(r *pluginpb.DescribeResponse) { r.Name = "" }, "name"},
		"escape in name":      {func(r *pluginpb.DescribeResponse) { r.Name = "a\x1b[2J" }, "name"},
		"newline in version":  {func(r *pluginpb.DescribeResponse) { r.Version = "1\n2" }, "version"},
		"type with slash":     {func(r *pluginpb.DescribeResponse) { r.ServiceType = "../tcp" }, "service_type"},
		"type in upper case":  {func(r *pluginpb.DescribeResponse) { r.ServiceType = "TCP" }, "service_type"},
		"type too long":       {func(r *pluginpb.DescribeResponse) { r.ServiceType = strings.Repeat("a", 65) }, "service_type"},
		"transport":           {func(r *pluginpb.DescribeResponse) { r.Transport = "sctp" }, "transport"},
		"no transport":        {func(r *pluginpb.DescribeResponse) { r.Transport = "" }, "transport"},
		"no formats in":       {func(r *pluginpb.DescribeResponse) { r.FormatsIn = nil }, "formats_in"},
		"format 0":            {func(r *pluginpb.DescribeResponse) { r.FormatsIn = []uint32{0} }, "formats_in"},
		"format 256":          {func(r *pluginpb.DescribeResponse) { r.FormatsOut = []uint32{256} }, "formats_out"},
		"format twice":        {func(r *pluginpb.DescribeResponse) { r.FormatsOut = []uint32{1, 1} }, "formats_out"},
		"schema is not JSON":  {func(r *pluginpb.DescribeResponse) { r.SettingsSchema = []byte("{") }, "settings_schema"},
		"schema is no object": {func(r *pluginpb.DescribeResponse) { r.SettingsSchema = []byte("true") }, "settings_schema"},
		"schema too long": {func(r *pluginpb.DescribeResponse) {
			r.SettingsSchema = []byte(`{"a":"` + strings.Repeat("x", 1<<20) + `"}`)
		}, "settings_schema"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			r := FromDescription(sampleDescription())
			tt.spoil(r)
			if _, err := ToDescription(r); err == nil || !strings.Contains(err.Error(), tt.names) {
				t.Errorf("error %v does not name %s", err, tt.names)
			}
		})
	}
	if _, err := ToDescription(nil); err == nil {
		t.Error("no answer was accepted")
	}
}

func TestStartRoundTrip(t *testing.T) {
	want := sampleStart()
	r, err := FromStart(want)
	if err != nil {
		t.Fatal(err)
	}
	got, err := ToStart(overTheWire(t, r, &pluginpb.StartRequest{}))
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v\nwant %+v", got, want)
	}
}

func TestStartOfTheInternalService(t *testing.T) {
	want := sampleStart()
	want.Identity.ServiceID, want.Params.ID, want.Identity.ProcessID = 0, 0, 0
	r, err := FromStart(want)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := ToStart(r); err != nil || got.Identity != want.Identity {
		t.Errorf("got %+v, %v", got.Identity, err)
	}
}

func TestFromStartRefusesSettingsThatAreNotJSON(t *testing.T) {
	s := sampleStart()
	s.Params.Settings = json.RawMessage("{")
	if _, err := FromStart(s); err == nil {
		t.Error("broken settings were encoded")
	}
}

func TestToStartRefuses(t *testing.T) {
	params := func(change func(*shared.ServiceParams)) func(*pluginpb.StartRequest) {
		return func(r *pluginpb.StartRequest) {
			s := sampleStart()
			change(&s.Params)
			r.Params, _ = json.Marshal(s.Params)
		}
	}
	tests := map[string]struct {
		spoil func(*pluginpb.StartRequest)
		names string
	}{
		"server 0":          {func(r *pluginpb.StartRequest) { r.ServerId = 0 }, "server_id"},
		"server 256":        {func(r *pluginpb.StartRequest) { r.ServerId = 256 }, "server_id"},
		"other service":     {func(r *pluginpb.StartRequest) { r.ServiceId = 3 }, "service_id"},
		"process too large": {func(r *pluginpb.StartRequest) { r.ProcessId = 8192 }, "process_id"},
		"process wraps":     {func(r *pluginpb.StartRequest) { r.ProcessId = 1<<32 - 1 }, "process_id"},
		"generation 0":      {func(r *pluginpb.StartRequest) { r.Generation = 0 }, "generation"},
		"no params":         {func(r *pluginpb.StartRequest) { r.Params = nil }, "params"},
		"params key":        {func(r *pluginpb.StartRequest) { r.Params = []byte(`{"no_such_key":1}`) }, "no_such_key"},
		"params trail":      {func(r *pluginpb.StartRequest) { r.Params = append(r.Params, " {}"...) }, "follows"},
		"no socket":         {func(r *pluginpb.StartRequest) { r.RelaySocket = "" }, "relay_socket"},
		"long socket":       {func(r *pluginpb.StartRequest) { r.RelaySocket = "/" + strings.Repeat("x", 107) }, "relay_socket"},
		"short secret":      {func(r *pluginpb.StartRequest) { r.Secret = r.Secret[:31] }, "secret"},
		"row of no rows":    {func(r *pluginpb.StartRequest) { r.ShareRow, r.ShareRows = 0, 0 }, "share_row"},
		"row over rows":     {func(r *pluginpb.StartRequest) { r.ShareRow = r.ShareRows }, "share_row"},
		"too many rows":     {func(r *pluginpb.StartRequest) { r.ShareRows = 2049 }, "share_row"},
		"push_back":         {func(r *pluginpb.StartRequest) { r.PushBackNs = -1 }, "push_back"},
		"adoption_window":   {func(r *pluginpb.StartRequest) { r.AdoptionWindowNs = -1 }, "adoption_window"},
		"handler_timeout":   {func(r *pluginpb.StartRequest) { r.HandlerTimeoutNs = 1 << 62 }, "handler_timeout"},
		"no name":           {params(func(p *shared.ServiceParams) { p.Name = "" }), "name"},
		"type":              {params(func(p *shared.ServiceParams) { p.ServiceType = "a/b" }), "service_type"},
		"format":            {params(func(p *shared.ServiceParams) { p.MessageFormatIn = 0 }), "format"},
		"max message":       {params(func(p *shared.ServiceParams) { p.Limits.MaxMessageBytes = 16<<20 + 1 }), "max_message_bytes"},
		"no clients":        {params(func(p *shared.ServiceParams) { p.Limits.MaxClients = 0 }), "limit"},
		"idle":              {params(func(p *shared.ServiceParams) { p.Limits.IdleTimeout = -1 }), "limit"},
		"settings":          {params(func(p *shared.ServiceParams) { p.Settings = json.RawMessage("[]") }), "settings"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			r, err := FromStart(sampleStart())
			if err != nil {
				t.Fatal(err)
			}
			tt.spoil(r)
			if _, err := ToStart(r); err == nil || !strings.Contains(err.Error(), tt.names) {
				t.Errorf("error %v does not name %s", err, tt.names)
			}
		})
	}
	if _, err := ToStart(nil); err == nil {
		t.Error("no request was accepted")
	}
}

func TestClientRoundTrip(t *testing.T) {
	want := Client{
		ID: shared.NewClientID(255, shared.MaxProcessID, 1<<32-1), Address: "127.0.0.1:4711",
		Connected: time.Unix(1_700_000_000, 5), MessagesIn: 1 << 63, MessagesOut: 2, QueuedBytes: 3, Groups: 4,
	}
	got, err := ToClient(overTheWire(t, FromClient(want), &pluginpb.Client{}))
	if err != nil || !got.Connected.Equal(want.Connected) {
		t.Fatalf("got %+v, %v", got, err)
	}
	got.Connected = want.Connected
	if got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestClientAddressIsCleaned(t *testing.T) {
	for in, want := range map[string]string{
		"@abstract\x00\x1b[2J":   "@abstract??[2J",
		"\xff/tmp/x":             "?/tmp/x",
		strings.Repeat("é", 200): strings.Repeat("é", 128),
	} {
		got, err := ToClient(overTheWire(t, FromClient(Client{Address: in}), &pluginpb.Client{}))
		if err != nil || got.Address != want {
			t.Errorf("%q became %q, want %q (%v)", in, got.Address, want, err)
		}
	}
	if _, err := ToClient(&pluginpb.Client{Id: 1 << 53}); err == nil {
		t.Error("an id of 2^53 was accepted")
	}
}

func TestDrainIsBounded(t *testing.T) {
	for in, want := range map[int64]time.Duration{-1: 0, 0: 0, 5e9: 5 * time.Second, 1 << 62: 24 * time.Hour} {
		if got := ToDrain(&pluginpb.DrainRequest{DeadlineNs: in}); got != want {
			t.Errorf("%d ns became %v, want %v", in, got, want)
		}
	}
	if got := ToDrain(FromDrain(-time.Second)); got != 0 {
		t.Errorf("a deadline in the past became %v", got)
	}
}
