package shared

import (
	"encoding/json"
	"time"
)

// ServiceParams is one row of `active_service` with every default filled in: what
// a service is assembled from. It travels to the plugin as JSON with these keys.
// Durations are nanoseconds there. Source: docs/params.md, the seed's get_service.
type ServiceParams struct {
	ID               int64           `json:"id"`
	AntanoServerID   int             `json:"antano_server_id"`
	ServiceTypeID    int             `json:"service_type_id"`
	ServiceType      string          `json:"service_type"`
	Name             string          `json:"name"`
	Host             string          `json:"host,omitempty"`
	Port             int             `json:"port,omitempty"`
	Endpoint         string          `json:"endpoint,omitempty"`
	MessageFormatIn  FormatID        `json:"message_format_in_id"`
	MessageFormatOut FormatID        `json:"message_format_out_id"`
	FramingIn        Framing         `json:"framing_in,omitempty"`
	FramingOut       Framing         `json:"framing_out,omitempty"`
	Processes        int             `json:"processes"`
	Mode             uint32          `json:"mode,omitempty"`        // unix: permission bits of the socket
	SocketType       string          `json:"socket_type,omitempty"` // unix: dgram, stream or seqpacket
	Backlog          int             `json:"backlog,omitempty"`
	ForwardTo        Address         `json:"forward_to,omitzero"`
	Limits           Limits          `json:"limits"`
	Settings         json.RawMessage `json:"settings,omitempty"`
}

// The values of ServiceParams.SocketType.
const (
	SocketDgram     = "dgram"
	SocketStream    = "stream"
	SocketSeqpacket = "seqpacket"
)

// Limits bounds what a service may hold. Sizes are bytes; MaxClients is of
// all processes of the service together.
type Limits struct {
	MaxMessageBytes   int           `json:"max_message_bytes"`
	MaxClients        int           `json:"max_clients"`
	ClientQueueBytes  int           `json:"client_queue_bytes"`
	ProcessQueueBytes int           `json:"process_queue_bytes"`
	IdleTimeout       time.Duration `json:"idle_timeout"` // 0: streams never, datagram sources 5 min
}

// Bounds that params cannot exceed, and what holds when they say nothing.
const (
	MaxMessageBytes = 16 << 20 // the largest `max_message_bytes`
	MaxFrameBytes   = 64 << 20 // a length32 prefix over this closes the connection
	MaxEntityName   = 255      // bytes of an entity's name
	MaxMessageID    = 1024     // bytes of an `id` as JSON
)

// DefaultLimits returns the limits of a row that names none.
func DefaultLimits() Limits {
	return Limits{
		MaxMessageBytes:   1 << 20,
		MaxClients:        100_000,
		ClientQueueBytes:  1 << 20,
		ProcessQueueBytes: 64 << 20,
	}
}
