package shared

import "fmt"

// The entity names with a meaning of their own; every other name is a group.
const (
	EntityClient  = "client"
	EntityService = "service"
)

// Address is an entity: `client/<id>` is one client, `service/<id>` a service's
// own handler, any other name a group that clients join. Source:
// docs/message.md "Addresses".
type Address struct {
	Entity string `json:"entity"`
	ID     int64  `json:"entity_id"`
}

// IsZero reports whether no address was given.
func (a Address) IsZero() bool { return a.Entity == "" }

// IsGroup reports whether a names a group, which is what clients can join.
func (a Address) IsGroup() bool {
	return a.Entity != "" && a.Entity != EntityClient && a.Entity != EntityService
}

func (a Address) String() string { return fmt.Sprintf("%s/%d", a.Entity, a.ID) }

// AnyProcess is the process id that restricts nothing. 0 is a process: that of
// the internal service.
const AnyProcess = -1

// MaxProcessID is the largest process id: a client id has 13 bits for it.
const MaxProcessID = 1<<13 - 1

// ClientID is the opaque id of a client: 8 bits of server id, 13 bits of the
// process that assigned it, 32 bits of sequence, so below 2^53 and exact in
// JavaScript. It is never reused while the server runs.
type ClientID uint64

// NewClientID puts the parts together. Parts out of range are cut to their bits.
func NewClientID(server uint8, process uint16, sequence uint32) ClientID {
	return ClientID(uint64(server)<<45 | uint64(process&MaxProcessID)<<32 | uint64(sequence))
}

// Server is the id of the antano server that the client is connected to.
func (c ClientID) Server() uint8 { return uint8(c >> 45) }

// Process is the process that assigned the id. A client that moved to another
// process keeps its id, so this is where to ask first, not where the client is.
func (c ClientID) Process() uint16 { return uint16(c>>32) & MaxProcessID }

// Sequence is the number of the client within its process.
func (c ClientID) Sequence() uint32 { return uint32(c) }

// Address returns the client as an entity.
func (c ClientID) Address() Address { return Address{Entity: EntityClient, ID: int64(c)} }

// Valid reports whether c is below 2^53, the bound of every id.
func (c ClientID) Valid() bool { return c < 1<<53 }
