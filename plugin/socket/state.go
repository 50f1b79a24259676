package socket

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// What a client takes along to another process is a version, a kind, and the fields of a
// streamState or a sourceState. Numbers are big-endian; bytes have a length of 4 bytes
// before them. Both processes run this package, but not the same build of it.
const stateVersion = 1

type stateKind uint8

const (
	kindStream stateKind = 1
	kindSource stateKind = 2
)

var errState = errors.New("the state of a client is damaged")

// fields reads a state; what is not there reads as zero, and is an error in the end.
type fields struct {
	rest []byte
	bad  bool
}

func (f *fields) take(n int) []byte {
	if n > len(f.rest) {
		f.bad, f.rest = true, nil
		return nil
	}
	b := f.rest[:n]
	f.rest = f.rest[n:]
	return b
}

func (f *fields) byte() (v uint8) {
	if b := f.take(1); b != nil {
		v = b[0]
	}
	return v
}

func (f *fields) uint32() (v uint32) {
	if b := f.take(4); b != nil {
		v = binary.BigEndian.Uint32(b)
	}
	return v
}

func (f *fields) int64() (v int64) {
	if b := f.take(8); b != nil {
		v = int64(binary.BigEndian.Uint64(b))
	}
	return v
}

func (f *fields) bool() bool {
	v := f.byte()
	f.bad = f.bad || v > 1
	return v == 1
}

// bytes returns a copy.
func (f *fields) bytes() []byte {
	n := f.uint32()
	if uint64(n) > uint64(len(f.rest)) {
		f.bad, f.rest = true, nil
		return nil
	}
	if n == 0 {
		return nil
	}
	return append([]byte(nil), f.take(int(n))...)
}

// messages returns as many as there are bytes for.
func (f *fields) messages() (all [][]byte) {
	for n := f.uint32(); n > 0 && !f.bad; n-- {
		all = append(all, f.bytes())
	}
	return all
}

// end is the error of a state that was too short, too long or out of range.
func (f *fields) end() error {
	if f.bad || len(f.rest) > 0 {
		return errState
	}
	return nil
}

func appendBytes[B ~[]byte | ~string](dst []byte, b B) []byte {
	return append(binary.BigEndian.AppendUint32(dst, uint32(len(b))), b...)
}

func appendMessages(dst []byte, all [][]byte) []byte {
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(all)))
	for _, m := range all {
		dst = appendBytes(dst, m)
	}
	return dst
}

func appendBool(dst []byte, v bool) []byte {
	if v {
		return append(dst, 1)
	}
	return append(dst, 0)
}

// parseKind says what state is of, and returns its fields.
func parseKind(state []byte) (stateKind, fields, error) {
	f := fields{rest: state}
	version, kind := f.byte(), stateKind(f.byte())
	switch {
	case f.bad:
		return 0, f, errState
	case version != stateVersion:
		return 0, f, fmt.Errorf("the state of a client has version %d and this process reads %d: it cannot be taken over", version, stateVersion)
	case kind != kindStream && kind != kindSource:
		return 0, f, errState
	}
	return kind, f, nil
}
