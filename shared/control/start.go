package control

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/antano/antano/shared"
	"github.com/antano/antano/shared/pluginpb"
)

// MaxShareRows is twice how many processes a service can have: the rows of its shared
// page.
const MaxShareRows = 2048

// MaxSocketPath is how long the path of a Unix socket can be, in bytes.
const MaxSocketPath = 107

// maxDuration bounds what a peer may ask others to wait for, maxWindow how long a
// process may be told to wait for a manager.
const (
	maxDuration = 24 * time.Hour
	maxWindow   = 366 * 24 * time.Hour
)

// Start is what a process is told when it is to serve. Source: docs/protocol.md
// "Start".
type Start struct {
	Identity       shared.Identity
	Params         shared.ServiceParams
	RelaySocket    string        // where to dial the relay link
	Secret         [32]byte      // proves this generation there
	ShareRow       int           // of this process in the shared page
	ShareRows      int           // in use
	PushBack       time.Duration // how long a stream source may be held back
	HandlerTimeout time.Duration // how long a handler may take
	AdoptionWindow time.Duration // how long it serves on without a manager; 0: it ends with it
}

// FromStart makes the request. It fails only when the params cannot be encoded,
// which is when Settings is not JSON.
func FromStart(s Start) (*pluginpb.StartRequest, error) {
	params, err := json.Marshal(s.Params)
	if err != nil {
		return nil, fmt.Errorf("start: encode params of service %d: %w", s.Params.ID, err)
	}
	return &pluginpb.StartRequest{
		ServerId:         uint32(s.Identity.ServerID),
		ServiceId:        s.Identity.ServiceID,
		ProcessId:        uint32(s.Identity.ProcessID),
		Generation:       uint32(s.Identity.Generation),
		Params:           params,
		RelaySocket:      s.RelaySocket,
		Secret:           bytes.Clone(s.Secret[:]),
		ShareRow:         uint32(s.ShareRow),
		ShareRows:        uint32(s.ShareRows),
		PushBackNs:       int64(s.PushBack),
		HandlerTimeoutNs: int64(s.HandlerTimeout),
		AdoptionWindowNs: int64(s.AdoptionWindow),
	}, nil
}

// ErrUnknownKey says that params hold what only later plugins know.
var ErrUnknownKey = errors.New("which this plugin does not know")

// ToStart reads the request. What it returns has ids in range that agree with the
// params, a socket path that fits, a share row below the rows in use, durations
// from 0 to a day (the window: a year), and limits above 0. Keys of the params that this version does not
// know are an ErrUnknownKey, so that a plugin does not ignore what it was told.
func ToStart(r *pluginpb.StartRequest) (Start, error) {
	params, err := paramsFromJSON(r.GetParams())
	if err != nil {
		return Start{}, err
	}
	s := Start{
		Identity: shared.Identity{
			ServerID:   int(r.GetServerId()),
			ServiceID:  r.GetServiceId(),
			ProcessID:  int(r.GetProcessId()),
			Generation: int(r.GetGeneration()),
			Service:    params.Name,
		},
		Params:         params,
		RelaySocket:    r.GetRelaySocket(),
		ShareRow:       int(r.GetShareRow()),
		ShareRows:      int(r.GetShareRows()),
		PushBack:       time.Duration(r.GetPushBackNs()),
		HandlerTimeout: time.Duration(r.GetHandlerTimeoutNs()),
		AdoptionWindow: time.Duration(r.GetAdoptionWindowNs()),
	}
	if len(r.GetSecret()) != len(s.Secret) {
		return Start{}, fmt.Errorf("start: secret has %d bytes, must have %d", len(r.GetSecret()), len(s.Secret))
	}
	copy(s.Secret[:], r.GetSecret())
	if err := checkStart(s); err != nil {
		return Start{}, err
	}
	return s, nil
}

func paramsFromJSON(b []byte) (shared.ServiceParams, error) {
	var p shared.ServiceParams
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&p); err != nil {
		if key, ok := strings.CutPrefix(err.Error(), "json: unknown field "); ok { // the package has no error of its own for it
			return p, fmt.Errorf("start: params have the key %s, %w; take it out, or use a plugin that knows it", key, ErrUnknownKey)
		}
		return p, fmt.Errorf("start: decode params: %w", err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return p, errors.New("start: decode params: something follows the object")
	}
	return p, nil
}

func checkStart(s Start) error {
	switch id := s.Identity; {
	case id.ServerID < 1 || id.ServerID > 255:
		return fmt.Errorf("start: server_id %d is not 1 to 255", id.ServerID)
	case id.ServiceID < 0 || id.ServiceID != s.Params.ID:
		return fmt.Errorf("start: service_id %d is negative or not the id %d of the params", id.ServiceID, s.Params.ID)
	case id.ProcessID > shared.MaxProcessID:
		return fmt.Errorf("start: process_id %d is over %d", id.ProcessID, shared.MaxProcessID)
	case id.Generation < 1:
		return errors.New("start: generation 0, they start at 1")
	}
	switch {
	case s.RelaySocket == "" || len(s.RelaySocket) > MaxSocketPath:
		return fmt.Errorf("start: relay_socket has %d bytes, must have 1 to %d", len(s.RelaySocket), MaxSocketPath)
	case s.ShareRows < 1 || s.ShareRows > MaxShareRows || s.ShareRow >= s.ShareRows:
		return fmt.Errorf("start: share_row %d of %d rows, at most %d rows", s.ShareRow, s.ShareRows, MaxShareRows)
	case s.PushBack < 0 || s.PushBack > maxDuration:
		return fmt.Errorf("start: push_back %v is not 0 to %v", s.PushBack, maxDuration)
	case s.HandlerTimeout < 0 || s.HandlerTimeout > maxDuration:
		return fmt.Errorf("start: handler_timeout %v is not 0 to %v", s.HandlerTimeout, maxDuration)
	case s.AdoptionWindow < 0 || s.AdoptionWindow > maxWindow:
		return fmt.Errorf("start: adoption_window %v is not 0 to %v", s.AdoptionWindow, maxWindow)
	}
	return checkParams(s.Params)
}

func checkParams(p shared.ServiceParams) error {
	l := p.Limits
	switch {
	case !printable(p.Name, maxNameBytes):
		return fmt.Errorf("start: name %.40q must be 1 to %d printable bytes", p.Name, maxNameBytes)
	case !ValidServiceType(p.ServiceType):
		return fmt.Errorf("start: service_type %.80q is not a service type", p.ServiceType)
	case p.MessageFormatIn == 0 || p.MessageFormatOut == 0:
		return fmt.Errorf("start: message formats %d and %d, ids start at 1", p.MessageFormatIn, p.MessageFormatOut)
	case l.MaxMessageBytes < 1 || l.MaxMessageBytes > shared.MaxMessageBytes:
		return fmt.Errorf("start: max_message_bytes %d is not 1 to %d", l.MaxMessageBytes, shared.MaxMessageBytes)
	case l.MaxClients < 1 || l.ClientQueueBytes < 1 || l.ProcessQueueBytes < 1 || l.IdleTimeout < 0:
		return fmt.Errorf("start: a limit is not above 0: %+v", l)
	case len(p.Settings) > 0 && !isJSONObject(p.Settings):
		return fmt.Errorf("start: settings are not a JSON object: %.40q", p.Settings)
	}
	return nil
}
