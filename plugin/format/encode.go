package format

import (
	"bytes"
	"encoding/json"

	"github.com/antano/antano/shared"
)

// Encode returns value as JSON, for the response of a handler. It follows
// encoding/json, without escaping for HTML. The error is `unsupported`.
func Encode(value any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(value); err != nil {
		return nil, unsupported("a value of type %T cannot be encoded as JSON: %v", value, err)
	}
	return bytes.TrimSuffix(b.Bytes(), []byte{'\n'}), nil
}

// Decode reads a message's value, of format f, into v, a pointer, as Convert to JSON and
// encoding/json do. The error is `unsupported`, or `bad_message` when the value does not
// fit v.
func Decode(f shared.FormatID, value []byte, v any) error {
	if f != shared.FormatJSON {
		var err error
		if value, err = Convert(nil, value, f, shared.FormatJSON); err != nil {
			return err
		}
	}
	if err := json.Unmarshal(value, v); err != nil {
		return shared.Errorf(shared.CodeBadMessage, "the value of the message is not what is expected here: %v", err)
	}
	return nil
}
