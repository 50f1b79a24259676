package format

import (
	"bytes"
	"encoding/json"
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
