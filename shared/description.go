package shared

import (
	"encoding/json"
	"fmt"
)

// Description is what a plugin says of itself before anything is started. The SDK fills
// in what an author leaves empty: the name antano-service-TYPE, the version that the Go
// tool noted in the binary, no transport, and all built-in formats.
// Source: docs/protocol.md "Describe".
type Description struct {
	Name        string          `json:"name"`
	Version     string          `json:"version"`
	ServiceType string          `json:"service_type"` // must match the file name's suffix
	CanSend     bool            `json:"can_send"`     // the seed's can_send: messages can be sent to its clients
	Handler     bool            `json:"handler"`      // has a handler for service/<id>
	Handover    bool            `json:"handover"`     // can hand clients to a successor; true also without clients, for the order of handler calls
	Transport   Transport       `json:"transport"`    // which sockets the manager opens for it
	FormatsIn   Formats         `json:"formats_in"`
	FormatsOut  Formats         `json:"formats_out"`
	Settings    json.RawMessage `json:"settings_schema,omitempty"` // JSON Schema of `settings`; nil accepts only {}
}

// Formats is a set of formats; in JSON it is their names.
type Formats []FormatID

// MarshalJSON writes the names. Without it the ids would come out as base64.
func (f Formats) MarshalJSON() ([]byte, error) {
	names := make([]string, len(f))
	for i, id := range f {
		names[i] = id.String()
	}
	return json.Marshal(names)
}

// UnmarshalJSON reads what MarshalJSON wrote.
func (f *Formats) UnmarshalJSON(b []byte) error {
	var names []string
	if err := json.Unmarshal(b, &names); err != nil {
		return err
	}
	*f = nil
	for _, name := range names {
		id, ok := ParseFormat(name)
		if _, err := fmt.Sscanf(name, "format-%d", &id); !ok && err != nil {
			return fmt.Errorf("%q is not the name of a format", name)
		}
		*f = append(*f, id)
	}
	return nil
}

// Transport is the kind of sockets that a service listens on.
type Transport string

// The transports that the manager opens sockets for.
const (
	TransportNone Transport = "none" // a handler without sockets
	TransportTCP  Transport = "tcp"  // one shared listening socket
	TransportUDP  Transport = "udp"  // 64 slots
	TransportUnix Transport = "unix" // one socket of `socket_type` at `endpoint`
)

// Identity is who a plugin process is within its server.
type Identity struct {
	ServerID   int    `json:"server_id"`
	ServiceID  int64  `json:"service_id"`
	ProcessID  int    `json:"process_id"`
	Generation int    `json:"generation"`
	Service    string `json:"service"` // the service's name
}
