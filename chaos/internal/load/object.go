package load

import (
	"encoding/json"
	"fmt"
	"strconv"

	"github.com/antano/antano/chaos/internal/ledger"
)

// object is what a client gets.
type object struct {
	Type      string            `json:"type"`
	ID        json.RawMessage   `json:"id"`
	EntityID  int64             `json:"entity_id"`
	ServiceID int64             `json:"service_id"`
	ProcessID int               `json:"process_id"`
	Code      string            `json:"code"`
	Delivered int               `json:"delivered"`
	Failed    map[string]int    `json:"failed"`
	Message   []json.RawMessage `json:"message"`
}

func parse(line []byte) (o object, err error) {
	if err = json.Unmarshal(line, &o); err != nil {
		err = fmt.Errorf("%.200q is no message object: %w", line, err)
	}
	return o, err
}

// asked is which message of whom is answered: its id says both.
func (o *object) asked() (from, n int, ok bool) {
	var id string
	if json.Unmarshal(o.ID, &id) != nil {
		return 0, 0, false
	}
	k, err := fmt.Sscanf(id, "%d.%d", &from, &n)
	return from, n, k == 2 && err == nil
}

// origin is who sent the message, as its value says, and which one it is.
func (o *object) origin() (from, n int, ok bool) {
	if len(o.Message) < 2 {
		return 0, 0, false
	}
	from, err := strconv.Atoi(string(o.Message[0]))
	n, err2 := strconv.Atoi(string(o.Message[1]))
	return from, n, err == nil && err2 == nil
}

// appendMessage appends the object for m: its value names sender and number.
func appendMessage(b []byte, m *ledger.Message, entity string, entityID int64, pad string) []byte {
	b = fmt.Appendf(b, `{"entity":%q,"entity_id":%d`, entity, entityID)
	if m.ID {
		b = fmt.Appendf(b, `,"id":"%d.%d"`, m.From.Number(), m.N)
	}
	return fmt.Appendf(b, `,"message":[%d,%d,%q]}`, m.From.Number(), m.N, pad)
}
