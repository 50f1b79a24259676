package shared

import "fmt"

// FormatID names a message format in params (`message_format_in_id`) and on the
// relay link. Third parties take ids from 100.
type FormatID uint8

// The built-in formats.
const (
	FormatJSON    FormatID = 1
	FormatMsgpack FormatID = 2
	FormatText    FormatID = 3 // UTF-8
	FormatBinary  FormatID = 4
)

var formatNames = map[FormatID]string{
	FormatJSON: "json", FormatMsgpack: "msgpack", FormatText: "text", FormatBinary: "binary",
}

func (f FormatID) String() string {
	if n, ok := formatNames[f]; ok {
		return n
	}
	return fmt.Sprintf("format-%d", uint8(f))
}

// ParseFormat returns the built-in format with the given name.
func ParseFormat(name string) (FormatID, bool) {
	for id, n := range formatNames {
		if n == name {
			return id, true
		}
	}
	return 0, false
}

// Bare reports whether the format carries bare payloads instead of message
// objects: no addresses, no receipts, no errors.
func (f FormatID) Bare() bool { return f == FormatText || f == FormatBinary }

// The built-in service types (`service_type_id`). Third parties take ids from
// 100 and list them under `service_type`.
const (
	TypeUDP       = 1
	TypeTCP       = 2
	TypeUnix      = 3
	TypeWebSocket = 4
	TypeREST      = 5
)

// Framing says how messages are told apart on a stream.
type Framing string

// The framings. A datagram or seqpacket transport has none: one packet is one
// message.
const (
	FramingNone     Framing = ""
	FramingLine     Framing = "line"
	FramingLength32 Framing = "length32"
)

// DefaultFraming is the framing of a stream that carries f when params name none.
func DefaultFraming(f FormatID) Framing {
	if f == FormatMsgpack || f == FormatBinary {
		return FramingLength32
	}
	return FramingLine
}
