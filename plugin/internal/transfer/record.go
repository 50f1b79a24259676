package transfer

import (
	"encoding/binary"

	"github.com/antano/antano/shared"
	"github.com/antano/antano/shared/wire"
)

// Type is the type of a record.
type Type uint8

// The records. All but Ended go from the process that had the clients to the one that
// gets them.
const (
	TypeClient Type = 1
	TypeEnd    Type = 2
	TypeRest   Type = 3
	TypeLate   Type = 4
	TypeIdle   Type = 5
	TypeDone   Type = 6
	TypeEnded  Type = 7
	TypeSocket Type = 8 // to the manager
)

// Client is one client; its descriptor, if it has one, comes with it. The slices of one
// that was parsed alias the record.
type Client struct {
	Descriptor              bool
	ID                      shared.ClientID
	Connected, Received     int64 // Unix nanoseconds
	MessagesIn, MessagesOut uint64
	Address                 string
	Groups                  []shared.Address
	State                   []byte
}

// AppendSocket appends the record of an inherited descriptor, which goes with it.
func AppendSocket(dst []byte, name string) []byte {
	dst, at := begin(dst, TypeSocket)
	return end(append(dst, name...), at)
}

// Size is how large the record is.
func (v *Client) Size() int {
	n := headerSize + 1 + 5*8 + 2 + min(len(v.Address), maxAddress) + 4 + len(v.State)
	for _, g := range v.Groups {
		n += 8 + 1 + len(g.Entity)
	}
	return n
}

// maxAddress is what is handed over of an address, which is for people.
const maxAddress = 1024

func begin(dst []byte, t Type) ([]byte, int) {
	return append(dst, 0, 0, 0, 0, byte(t)), len(dst)
}

func end(dst []byte, at int) []byte {
	binary.BigEndian.PutUint32(dst[at:], uint32(len(dst)-at-4))
	return dst
}

// AppendClient appends v as a record.
func AppendClient(dst []byte, v *Client) []byte {
	dst, at := begin(dst, TypeClient)
	var flags byte
	if v.Descriptor {
		flags = 1
	}
	dst = append(dst, flags)
	for _, n := range []uint64{uint64(v.ID), uint64(v.Connected), uint64(v.Received), v.MessagesIn, v.MessagesOut} {
		dst = binary.BigEndian.AppendUint64(dst, n)
	}
	address := v.Address[:min(len(v.Address), maxAddress)]
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(address)))
	dst = append(dst, address...)
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(v.Groups)))
	for _, g := range v.Groups {
		dst = binary.BigEndian.AppendUint64(dst, uint64(g.ID))
		dst = append(dst, byte(len(g.Entity)))
		dst = append(dst, g.Entity...)
	}
	return end(append(dst, v.State...), at)
}

// Parse reads the body of a client.
func (v *Client) Parse(body []byte) error {
	c := cursor{b: body}
	flags := c.u8()
	*v = Client{Descriptor: flags == 1, ID: shared.ClientID(c.u64()), Connected: int64(c.u64()), Received: int64(c.u64())}
	v.MessagesIn, v.MessagesOut = c.u64(), c.u64()
	v.Address = string(c.take(int(c.u16())))
	for n := c.u32(); n > 0 && !c.bad; n-- {
		g := shared.Address{ID: int64(c.u64())}
		g.Entity = string(c.take(int(c.u8())))
		if !g.IsGroup() {
			c.bad = true
		}
		v.Groups = append(v.Groups, g)
	}
	v.State = c.b
	if flags > 1 || !v.ID.Valid() {
		c.bad = true
	}
	return c.err("client")
}

// End says that all clients have come. Ranges are the client ids that the new process
// answers for from the cut on.
type End struct {
	Scope  wire.Scope
	Count  uint32
	Ranges []wire.Range
}

// AppendEnd appends v as a record.
func AppendEnd(dst []byte, v *End) []byte {
	dst, at := begin(dst, TypeEnd)
	dst = binary.BigEndian.AppendUint32(append(dst, byte(v.Scope)), v.Count)
	for _, r := range v.Ranges {
		dst = binary.BigEndian.AppendUint16(dst, r.Process)
		dst = binary.BigEndian.AppendUint32(dst, r.First)
		dst = binary.BigEndian.AppendUint32(dst, r.Count)
	}
	return end(dst, at)
}

// Parse reads the body of an end.
func (v *End) Parse(body []byte) error {
	c := cursor{b: body}
	v.Scope, v.Count, v.Ranges = wire.Scope(c.u8()), c.u32(), nil
	for len(c.b) > 0 && !c.bad {
		v.Ranges = append(v.Ranges, wire.Range{Process: c.u16(), Sequences: wire.Sequences{First: c.u32(), Count: c.u32()}})
	}
	return c.err("end")
}

// Late is an answer that the client is owed, framed.
type Late struct {
	Client shared.ClientID
	Framed []byte
}

// AppendLate appends v as a record.
func AppendLate(dst []byte, v *Late) []byte {
	dst, at := begin(dst, TypeLate)
	return end(append(binary.BigEndian.AppendUint64(dst, uint64(v.Client)), v.Framed...), at)
}

// Parse reads the body of a late.
func (v *Late) Parse(body []byte) error {
	c := cursor{b: body}
	v.Client = shared.ClientID(c.u64())
	v.Framed = c.b
	return c.err("late")
}

// Ended says what became of a numbered item of a rest.
type Ended struct {
	Item uint64
	Code shared.Code
}

// AppendEnded appends v as a record.
func AppendEnded(dst []byte, v Ended) []byte {
	dst, at := begin(dst, TypeEnded)
	return end(append(binary.BigEndian.AppendUint64(dst, v.Item), byte(v.Code)), at)
}

// Parse reads the body of an ended.
func (v *Ended) Parse(body []byte) error {
	c := cursor{b: body}
	v.Item, v.Code = c.u64(), shared.Code(c.u8())
	if int(v.Code) >= shared.NumCodes {
		c.bad = true
	}
	return c.done("ended")
}

// Sender is whose handler calls run one after another.
type Sender struct {
	Kind wire.Kind
	ID   int64
}

// AppendIdle appends the record that all handler calls are done but those of busy.
func AppendIdle(dst []byte, busy []Sender) []byte {
	dst, at := begin(dst, TypeIdle)
	for _, s := range busy {
		dst = binary.BigEndian.AppendUint64(append(dst, byte(s.Kind)), uint64(s.ID))
	}
	return end(dst, at)
}

// ParseIdle reads the body of an idle.
func ParseIdle(body []byte) (busy []Sender, err error) {
	c := cursor{b: body}
	for len(c.b) > 0 && !c.bad {
		busy = append(busy, Sender{wire.Kind(c.u8()), int64(c.u64())})
	}
	return busy, c.err("idle")
}

// AppendDone appends the record that nothing more is coming.
func AppendDone(dst []byte) []byte {
	dst, at := begin(dst, TypeDone)
	return end(dst, at)
}
