package load

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"time"
)

// groupEntity is the name of the groups that loads make.
const groupEntity = "bench"

// readBuffer is that of one client of a few, and of one of many.
const (
	readBuffer  = 64 << 10
	crowdBuffer = 2 << 10
)

// client is one connection with frames in it.
type client struct {
	net.Conn
	to      Target
	r       *bufio.Reader // of streams
	packet  []byte        // of everything else
	id      int64
	process int
}

func newClient(c net.Conn, t Target, buffer int) *client {
	k := &client{Conn: c, to: t}
	if t.lines() {
		k.r = bufio.NewReaderSize(c, buffer)
	} else {
		k.packet = make([]byte, 64<<10)
	}
	return k
}

// connect opens a connection and asks who it is, where the answer is JSON.
func connect(ctx context.Context, t Target) (*client, error) {
	c, err := t.dial(ctx, 0)
	if err != nil {
		return nil, err
	}
	k := newClient(c, t, readBuffer)
	if t.PackedOut {
		return k, nil
	}
	if err := k.identify(); err != nil {
		k.close()
		return nil, fmt.Errorf("ask %s who we are: %w", t.Address, err)
	}
	return k, nil
}

func (k *client) close() { closeAll([]net.Conn{k.Conn}) }

// identify learns id and process.
func (k *client) identify() error {
	answer, err := k.ask(`{"type":"whoami"}`, "\x81\xa4type\xa6whoami")
	if err != nil {
		return err
	}
	var who struct {
		Type    string `json:"type"`
		ID      int64  `json:"entity_id"`
		Process int    `json:"process_id"`
	}
	if err := json.Unmarshal(answer, &who); err != nil || who.Type != "client" {
		return fmt.Errorf("the answer is %q", answer)
	}
	k.id, k.process = who.ID, who.Process
	return nil
}

// ask sends an object, given as JSON and as msgpack, and returns the next frame.
func (k *client) ask(text, packed string) ([]byte, error) {
	if err := k.SetDeadline(time.Now().Add(answerTime)); err != nil {
		return nil, err
	}
	frame := []byte(text)
	switch {
	case k.to.PackedIn:
		frame = append(binary.BigEndian.AppendUint32(nil, uint32(len(packed))), packed...)
	case k.to.lines():
		frame = append(frame, '\n')
	}
	if _, err := k.Write(frame); err != nil {
		return nil, err
	}
	answer, err := k.frame()
	if err != nil {
		return nil, err
	}
	return answer, k.SetDeadline(time.Time{})
}

// join makes the client a member of a group.
func (k *client) join(group int64) error {
	answer, err := k.ask(fmt.Sprintf(`{"type":"join","entity":%q,"entity_id":%d}`, groupEntity, group), "")
	if err != nil {
		return err
	}
	if !bytes.Contains(answer, []byte("joined")) {
		return fmt.Errorf("the answer to a join is %q", answer)
	}
	return nil
}

// frame returns the next frame, its length or line end included; it is valid until the
// next call.
func (k *client) frame() ([]byte, error) {
	if k.r == nil {
		n, err := k.Read(k.packet)
		return k.packet[:n], err
	}
	if !k.to.PackedOut {
		return k.r.ReadSlice('\n')
	}
	head, err := k.r.Peek(4)
	if err != nil {
		return nil, err
	}
	n := 4 + int(binary.BigEndian.Uint32(head))
	frame, err := k.r.Peek(n)
	if err != nil {
		return nil, err
	}
	_, err = k.r.Discard(n)
	return frame, err
}

// fixed returns the next frame where all have n bytes, except that another one is
// returned as it is when an error answer cuts in.
func (k *client) fixed(n int) ([]byte, error) {
	if k.r == nil {
		return k.frame()
	}
	b, err := k.r.Peek(n)
	if err != nil {
		if err == io.EOF && len(b) > 0 {
			err = fmt.Errorf("%w behind %q", err, b)
		}
		return nil, err
	}
	_, err = k.r.Discard(n)
	return b, err
}
