package wire

import (
	"encoding/binary"
	"fmt"
	"math"

	"github.com/antano/antano/shared"
)

// SecretSize is the size of the secret that proves a process to the manager.
const SecretSize = 32

// HelloSize is the size of a hello as a frame.
const HelloSize = HeaderSize + 1 + 2 + 4 + SecretSize

// Hello is a plugin's first frame.
type Hello struct {
	Version    uint8
	Process    uint16
	Generation uint32
	Secret     [SecretSize]byte
}

// AppendHello appends h as a frame.
func AppendHello(dst []byte, h *Hello) []byte {
	dst, at := begin(dst, TypeHello)
	dst = append(dst, h.Version)
	dst = binary.BigEndian.AppendUint16(dst, h.Process)
	dst = binary.BigEndian.AppendUint32(dst, h.Generation)
	dst = append(dst, h.Secret[:]...)
	return end(dst, at)
}

// Parse reads the body of a hello.
func (h *Hello) Parse(body []byte) error {
	c := cursor{b: body}
	h.Version, h.Process, h.Generation = c.u8(), c.u16(), c.u32()
	copy(h.Secret[:], c.take(SecretSize))
	return c.done("hello")
}

// Welcome is the manager's answer to a hello. Sequences and Window are the first
// range of client sequences and the bytes that one lane may have in the manager's
// queues before it must wait for credit.
type Welcome struct {
	Version   uint8
	Server    uint8
	Sequences Sequences
	Window    uint32
}

// AppendWelcome appends w as a frame.
func AppendWelcome(dst []byte, w *Welcome) []byte {
	dst, at := begin(dst, TypeWelcome)
	dst = append(dst, w.Version, w.Server)
	dst = binary.BigEndian.AppendUint32(dst, w.Sequences.First)
	dst = binary.BigEndian.AppendUint32(dst, w.Sequences.Count)
	dst = binary.BigEndian.AppendUint32(dst, w.Window)
	return end(dst, at)
}

// Parse reads the body of a welcome.
func (w *Welcome) Parse(body []byte) error {
	c := cursor{b: body}
	w.Version, w.Server = c.u8(), c.u8()
	w.Sequences = Sequences{First: c.u32(), Count: c.u32()}
	w.Window = c.u32()
	return c.done("welcome")
}

// Sequences is a range of client sequences that no other generation ever gets.
type Sequences struct{ First, Count uint32 }

// AppendSequences appends a fresh range as a frame.
func AppendSequences(dst []byte, s Sequences) []byte {
	dst, at := begin(dst, TypeSequences)
	dst = binary.BigEndian.AppendUint32(dst, s.First)
	dst = binary.BigEndian.AppendUint32(dst, s.Count)
	return end(dst, at)
}

// Parse reads the body of a sequences frame.
func (s *Sequences) Parse(body []byte) error {
	c := cursor{b: body}
	s.First, s.Count = c.u32(), c.u32()
	return c.done("sequences")
}

// AppendEmpty appends a frame without a body (more sequences).
func AppendEmpty(dst []byte, t Type) []byte {
	dst, at := begin(dst, t)
	return end(dst, at)
}

// Failure counts copies of a message that were not delivered for one reason.
type Failure struct {
	Code  shared.Code
	Count uint32
}

// Result says what became of a message, by the token that it travelled with. For
// subscribe and unsubscribe, Delivered is 1.
type Result struct {
	Token     uint64
	Delivered uint32
	failures  [shared.NumCodes]Failure
	n         int
}

// Failures lists the failed copies by code.
func (r *Result) Failures() []Failure { return r.failures[:r.n] }

// Fail adds n failed copies. Counts stop at the largest number.
func (r *Result) Fail(code shared.Code, n uint32) {
	for i := range r.n {
		if r.failures[i].Code == code {
			r.failures[i].Count = plus(r.failures[i].Count, n)
			return
		}
	}
	if r.n < len(r.failures) {
		r.failures[r.n] = Failure{code, n}
		r.n++
	}
}

// Add adds what another part of the same message reported.
func (r *Result) Add(o *Result) {
	r.Delivered = plus(r.Delivered, o.Delivered)
	for _, f := range o.Failures() {
		r.Fail(f.Code, f.Count)
	}
}

func plus(a, b uint32) uint32 {
	if a+b < a {
		return math.MaxUint32
	}
	return a + b
}

// AppendResult appends r as a frame.
func AppendResult(dst []byte, r *Result) []byte {
	dst, at := begin(dst, TypeResult)
	dst = binary.BigEndian.AppendUint64(dst, r.Token)
	dst = binary.BigEndian.AppendUint32(dst, r.Delivered)
	dst = append(dst, byte(r.n))
	for _, f := range r.Failures() {
		dst = append(dst, byte(f.Code))
		dst = binary.BigEndian.AppendUint32(dst, f.Count)
	}
	return end(dst, at)
}

// Parse reads the body of a result. A code that this version does not know, or
// one twice, is an error.
func (r *Result) Parse(body []byte) error {
	c := cursor{b: body}
	*r = Result{Token: c.u64(), Delivered: c.u32()}
	for range int(c.u8()) {
		code, count := shared.Code(c.u8()), c.u32()
		if c.bad {
			break
		}
		before := r.n
		if code == shared.CodeNone || int(code) >= shared.NumCodes {
			return fmt.Errorf("%w: result with unknown code %d", ErrFrame, code)
		}
		if r.Fail(code, count); r.n == before {
			return fmt.Errorf("%w: result with code %s twice", ErrFrame, code)
		}
	}
	return c.done("result")
}

// Group is the body of subscribe and unsubscribe. Token 0 wants no result.
type Group struct {
	Token  uint64
	ID     int64
	Entity []byte
}

// AppendGroup appends g as a frame of type TypeSubscribe or TypeUnsubscribe.
func AppendGroup(dst []byte, t Type, g *Group) []byte {
	dst, at := begin(dst, t)
	dst = binary.BigEndian.AppendUint64(dst, g.Token)
	dst = binary.BigEndian.AppendUint64(dst, uint64(g.ID))
	dst = append(dst, byte(len(g.Entity)))
	dst = append(dst, g.Entity...)
	return end(dst, at)
}

// Parse reads the body of subscribe or unsubscribe; Entity aliases it.
func (g *Group) Parse(body []byte) error {
	c := cursor{b: body}
	g.Token, g.ID = c.u64(), int64(c.u64())
	g.Entity = c.take(int(c.u8()))
	if !c.bad && (len(g.Entity) == 0 || KindOf(string(g.Entity)) != KindGroup) {
		return fmt.Errorf("%w: %q is not a group", ErrFrame, g.Entity)
	}
	return c.done("subscribe")
}

// Lane is a destination as the source sees it, the unit of the byte window: the
// process that assigned a client's id, or a service. Groups have no lane: a copy
// of a group message never waits.
type Lane struct {
	Kind Kind
	ID   int64
}

// LaneOf returns the lane of a direct message, and false for a group message.
func LaneOf(kind Kind, entityID int64) (Lane, bool) {
	switch kind {
	case KindClient:
		return Lane{KindClient, int64(shared.ClientID(entityID).Process())}, true
	case KindService:
		return Lane{KindService, entityID}, true
	}
	return Lane{}, false
}

// Credit gives bytes of a lane's window back to the source.
type Credit struct {
	Lane  Lane
	Bytes uint32
}

// AppendCredit appends c as a frame.
func AppendCredit(dst []byte, c *Credit) []byte {
	dst, at := begin(dst, TypeCredit)
	dst = append(dst, byte(c.Lane.Kind))
	dst = binary.BigEndian.AppendUint64(dst, uint64(c.Lane.ID))
	dst = binary.BigEndian.AppendUint32(dst, c.Bytes)
	return end(dst, at)
}

// Parse reads the body of a credit.
func (cr *Credit) Parse(body []byte) error {
	c := cursor{b: body}
	cr.Lane = Lane{Kind(c.u8()), int64(c.u64())}
	cr.Bytes = c.u32()
	if !c.bad && cr.Lane.Kind != KindClient && cr.Lane.Kind != KindService {
		return fmt.Errorf("%w: credit for entity kind %d", ErrFrame, cr.Lane.Kind)
	}
	return c.done("credit")
}

// Pause tells the process Process that the queue of Client is full (TypePause) or
// has room again (TypeResume, Budget 0). Budget is how many milliseconds of
// push-back the client has left: a source waits no longer, and with 0 not at all.
// Towards the manager Process is who is told; from the manager, who asked.
type Pause struct {
	Client  shared.ClientID
	Process uint16
	Budget  uint32
}

// AppendPause appends p as a frame of type TypePause or TypeResume.
func AppendPause(dst []byte, t Type, p *Pause) []byte {
	dst, at := begin(dst, t)
	dst = binary.BigEndian.AppendUint64(dst, uint64(p.Client))
	dst = binary.BigEndian.AppendUint16(dst, p.Process)
	dst = binary.BigEndian.AppendUint32(dst, p.Budget)
	return end(dst, at)
}

// Parse reads the body of pause or resume.
func (p *Pause) Parse(body []byte) error {
	c := cursor{b: body}
	p.Client, p.Process, p.Budget = shared.ClientID(c.u64()), c.u16(), c.u32()
	return c.done("pause")
}

// AppendHealth appends the manager's question.
func AppendHealth(dst []byte, nonce uint64) []byte { return appendU64(dst, TypeHealth, nonce) }

// AppendSlots appends the set of slots as a frame of type TypeSlots or TypeSlotsOK:
// bit n is slot n.
func AppendSlots(dst []byte, t Type, slots uint64) []byte { return appendU64(dst, t, slots) }

func appendU64(dst []byte, t Type, v uint64) []byte {
	dst, at := begin(dst, t)
	return end(binary.BigEndian.AppendUint64(dst, v), at)
}

// ParseU64 reads the body of health, slots and slots ok.
func ParseU64(body []byte) (uint64, error) {
	c := cursor{b: body}
	v := c.u64()
	return v, c.done("number")
}

// HealthOK is the plugin's answer. Failing is empty when all is well, otherwise a
// sentence that names the loop or the handler call that has not come round.
type HealthOK struct {
	Nonce   uint64
	Failing []byte
}

// AppendHealthOK appends h as a frame. Failing is cut at 1 KiB.
func AppendHealthOK(dst []byte, h *HealthOK) []byte {
	dst, at := begin(dst, TypeHealthOK)
	dst = binary.BigEndian.AppendUint64(dst, h.Nonce)
	dst = append(dst, h.Failing[:min(len(h.Failing), 1024)]...)
	return end(dst, at)
}

// Parse reads the body of a health answer; Failing aliases it.
func (h *HealthOK) Parse(body []byte) error {
	c := cursor{b: body}
	h.Nonce = c.u64()
	h.Failing, c.b = c.b, nil
	if len(h.Failing) > 1024 {
		return fmt.Errorf("%w: health answer of %d bytes", ErrFrame, len(h.Failing))
	}
	return c.done("health answer")
}
