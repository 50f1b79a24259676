package format

import (
	"strconv"
	"strings"

	"github.com/tinylib/msgp/msgp"

	"github.com/antano/antano/shared"
)

// The functions of this file append one message object from the server to a client
// in format f, `type` first. An id is JSON, a string or an integer; anything else
// counts as none. A text that is not UTF-8 gets U+FFFD where it is not. In a bare
// format a message is its value alone, and the others append nothing.

// AppendMessage appends a message whose value is already in format f; inReplyTo is
// the id that it answers, nil for none.
func AppendMessage(dst []byte, f shared.FormatID, to, from shared.Address, inReplyTo, value []byte) []byte {
	switch {
	case f.Bare():
		return append(dst, value...)
	case f == shared.FormatJSON && len(inReplyTo) == 0:
		return appendJSONMessage(dst, to, from, value)
	}
	o, ok := begin(dst, f, TypeMessage.String(), 5, inReplyTo)
	if !ok {
		return dst
	}
	o.address(to)
	o.key("from")
	o.open(2)
	o.address(from)
	o.close()
	o.id("in_reply_to", inReplyTo)
	o.key("message")
	o.dst = append(o.dst, value...)
	return o.end()
}

// appendJSONMessage is AppendMessage of most messages, in few pieces.
func appendJSONMessage(dst []byte, to, from shared.Address, value []byte) []byte {
	dst = append(dst, `{"type":"message"`...)
	dst = appendJSONAddress(dst, `,"entity":`, to)
	dst = appendJSONAddress(dst, `,"from":{"entity":`, from)
	dst = append(dst, `},"message":`...)
	dst = append(dst, value...)
	return append(dst, '}')
}

func appendJSONAddress(dst []byte, key string, a shared.Address) []byte {
	dst = append(dst, key...)
	switch a.Entity {
	case shared.EntityClient:
		dst = append(dst, `"client","entity_id":`...)
	case shared.EntityService:
		dst = append(dst, `"service","entity_id":`...)
	default:
		dst = appendQuoted(dst, strings.ToValidUTF8(a.Entity, "\uFFFD"))
		dst = append(dst, `,"entity_id":`...)
	}
	return strconv.AppendInt(dst, a.ID, 10)
}

// AppendReceipt appends what became of the message with the given id.
func AppendReceipt(dst []byte, f shared.FormatID, id []byte, r shared.Receipt) []byte {
	failed := 0
	for c := range shared.Code(shared.NumCodes) {
		if r.Failed[c] > 0 {
			failed++
		}
	}
	o, ok := begin(dst, f, "receipt", 2+min(failed, 1), id)
	if !ok {
		return dst
	}
	o.id("id", id)
	o.int("delivered", int64(r.Delivered))
	if failed > 0 {
		o.key("failed")
		o.open(failed)
		for c := range shared.Code(shared.NumCodes) {
			if n := r.Failed[c]; n > 0 {
				o.int(c.String(), int64(n))
			}
		}
		o.close()
	}
	return o.end()
}

// AppendJoined appends the answer to a join.
func AppendJoined(dst []byte, f shared.FormatID, id []byte, group shared.Address) []byte {
	return appendMembership(dst, f, "joined", id, group)
}

// AppendLeft appends the answer to a leave.
func AppendLeft(dst []byte, f shared.FormatID, id []byte, group shared.Address) []byte {
	return appendMembership(dst, f, "left", id, group)
}

func appendMembership(dst []byte, f shared.FormatID, kind string, id []byte, group shared.Address) []byte {
	o, ok := begin(dst, f, kind, 3, id)
	if !ok {
		return dst
	}
	o.id("id", id)
	o.address(group)
	return o.end()
}

// AppendPong appends the answer to a ping.
func AppendPong(dst []byte, f shared.FormatID, id []byte) []byte {
	o, ok := begin(dst, f, "pong", 1, id)
	if !ok {
		return dst
	}
	o.id("id", id)
	return o.end()
}

// AppendClient appends the answer to a whoami.
func AppendClient(dst []byte, f shared.FormatID, id []byte, client shared.ClientID, who shared.Identity) []byte {
	o, ok := begin(dst, f, "client", 5, id)
	if !ok {
		return dst
	}
	o.id("id", id)
	o.address(client.Address())
	o.int("service_id", who.ServiceID)
	o.int("process_id", int64(who.ProcessID))
	return o.end()
}

// AppendError appends a failure; the id is that of the message that failed.
func AppendError(dst []byte, f shared.FormatID, id []byte, e *shared.Error) []byte {
	o, ok := begin(dst, f, "error", 3, id)
	if !ok {
		return dst
	}
	o.id("id", id)
	o.str("code", e.Code.String())
	o.str("error", e.Text)
	return o.end()
}

// object appends one message object. A msgpack map begins with the number of its
// pairs, so open is told; JSON puts a comma before every key but the first.
type object struct {
	dst     []byte
	msgpack bool
	hasID   bool
}

// begin opens an object of n pairs including `type`, and one more if id is one. It
// reports false for a format without message objects.
func begin(dst []byte, f shared.FormatID, kind string, n int, id []byte) (object, bool) {
	if f != shared.FormatJSON && f != shared.FormatMsgpack {
		return object{}, false
	}
	o := object{dst: dst, msgpack: f == shared.FormatMsgpack, hasID: validID(id)}
	if o.hasID {
		n++
	}
	o.open(n)
	o.key("type")
	o.word(kind)
	return o, true
}

func (o *object) open(n int) {
	if o.msgpack {
		o.dst = msgp.AppendMapHeader(o.dst, uint32(n))
	} else {
		o.dst = append(o.dst, '{')
	}
}

func (o *object) close() {
	if !o.msgpack {
		o.dst = append(o.dst, '}')
	}
}

func (o *object) end() []byte {
	o.close()
	return o.dst
}

// key appends a key that needs no escape.
func (o *object) key(name string) {
	if !o.msgpack && o.dst[len(o.dst)-1] != '{' {
		o.dst = append(o.dst, ',')
	}
	o.word(name)
	if !o.msgpack {
		o.dst = append(o.dst, ':')
	}
}

// word appends a string that needs no escape.
func (o *object) word(s string) {
	if o.msgpack {
		o.dst = msgp.AppendString(o.dst, s)
		return
	}
	o.dst = append(o.dst, '"')
	o.dst = append(o.dst, s...)
	o.dst = append(o.dst, '"')
}

func (o *object) str(name, s string) {
	o.key(name)
	s = strings.ToValidUTF8(s, "\uFFFD")
	if o.msgpack {
		o.dst = msgp.AppendString(o.dst, s)
	} else {
		o.dst = appendQuoted(o.dst, s)
	}
}

func (o *object) int(name string, n int64) {
	o.key(name)
	if o.msgpack {
		o.dst = appendInt(o.dst, n)
	} else {
		o.dst = strconv.AppendInt(o.dst, n, 10)
	}
}

func (o *object) address(a shared.Address) {
	o.str("entity", a.Entity)
	o.int("entity_id", a.ID)
}

// id appends an id under the given key, if there is one.
func (o *object) id(name string, id []byte) {
	if !o.hasID {
		return
	}
	o.key(name)
	if !o.msgpack {
		o.dst = append(o.dst, id...)
	} else if n, ok := parseInt(id); ok {
		o.dst = appendInt(o.dst, n)
	} else {
		o.dst = appendStrUnescaped(o.dst, id[1:len(id)-1])
	}
}
