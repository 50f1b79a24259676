package wire

import (
	"encoding/binary"
	"fmt"
	"math"

	"github.com/antano/antano/shared"
)

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
