package control

import (
	"fmt"
	"strings"
	"time"

	"github.com/antano/antano/shared"
	"github.com/antano/antano/shared/pluginpb"
)

// maxAddressBytes bounds a client's address: a Unix path of a peer, with room.
const maxAddressBytes = 256

// Client is one row of who is connected.
type Client struct {
	ID          shared.ClientID
	Address     string // of the peer, for people
	Connected   time.Time
	MessagesIn  uint64
	MessagesOut uint64
	QueuedBytes uint64 // waiting to be written to it
	Groups      int    // joined
}

// FromClient makes one row of the answer to Clients.
func FromClient(c Client) *pluginpb.Client {
	return &pluginpb.Client{
		Id:              uint64(c.ID),
		Address:         strings.ToValidUTF8(c.Address, "\uFFFD"),
		ConnectedUnixNs: c.Connected.UnixNano(),
		MessagesIn:      c.MessagesIn,
		MessagesOut:     c.MessagesOut,
		QueuedBytes:     c.QueuedBytes,
		Groups:          uint32(c.Groups),
	}
}

// ToClient reads one row. The id is valid; the address is printable and at most 256
// bytes: what is not printable in it (an abstract Unix name) is shown as '?', what is
// too long is cut.
func ToClient(r *pluginpb.Client) (Client, error) {
	id := shared.ClientID(r.GetId())
	if !id.Valid() {
		return Client{}, fmt.Errorf("clients: client id %d is not below 2^53", r.GetId())
	}
	return Client{
		ID:          id,
		Address:     cleanAddress(r.GetAddress()),
		Connected:   time.Unix(0, r.GetConnectedUnixNs()),
		MessagesIn:  r.GetMessagesIn(),
		MessagesOut: r.GetMessagesOut(),
		QueuedBytes: r.GetQueuedBytes(),
		Groups:      int(r.GetGroups()),
	}, nil
}
