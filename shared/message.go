package shared

import "encoding/json"

// Message is the common message object as a service's handler sees it: a message
// that a client or another service addressed to `service/<id>`, or one that a
// client of this process sent without being consumed by the relay. Source:
// docs/message.md, the seed's on_received_message.
type Message struct {
	To        Address         // as addressed
	From      Address         // client/<id> or service/<id>; proven by the manager
	ProcessID int             // AnyProcess when the sender named none
	ID        json.RawMessage // the sender's `id`, a JSON string or integer; nil without
	InReplyTo json.RawMessage // the `id` that this message answers; nil without
	Format    FormatID        // how Value is encoded
	Value     []byte          // the `message` value in Format, valid until the handler returns
}

// Receipt says what became of a message.
type Receipt struct {
	Delivered int          // copies written to a socket or returned from by a handler
	Failed    map[Code]int // copies that were not, by code; nil when none
}
