package client

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
)

// Object is a message object.
type Object map[string]json.RawMessage

func parse(b []byte) (Object, error) {
	var o Object
	if err := json.Unmarshal(b, &o); err != nil {
		return nil, fmt.Errorf("%w: %.80q", ErrForeign, b)
	}
	return o, nil
}

// Text is a field that is a string; what else it is as it came.
func (o Object) Text(key string) string {
	var s string
	if json.Unmarshal(o[key], &s) == nil {
		return s
	}
	return string(o[key])
}

// Int is a field that is an integer; -1 when it is none.
func (o Object) Int(key string) int64 {
	var n int64
	if o[key] == nil || json.Unmarshal(o[key], &n) != nil {
		return -1
	}
	return n
}

func (o Object) String() string {
	b, err := json.Marshal(o)
	if err != nil {
		return err.Error()
	}
	return string(b)
}

// Want checks fields, given as key, value, key, value: a value that is JSON is compared
// as such, any other with the text of the field, which is empty when it is absent.
func (o Object) Want(fields ...string) error {
	for i := 0; i < len(fields); i += 2 {
		key, want := fields[i], fields[i+1]
		if !json.Valid([]byte(want)) && o.Text(key) == want || equal(o[key], []byte(want)) {
			continue
		}
		return fmt.Errorf("the client got %.300s, in which %q should be %s", o, key, want)
	}
	return nil
}

// equal compares JSON, with numbers as they are written.
func equal(a, b []byte) bool {
	x, xerr := decode(a)
	y, yerr := decode(b)
	return xerr == nil && yerr == nil && reflect.DeepEqual(x, y)
}

func decode(b []byte) (v any, err error) {
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	return v, d.Decode(&v)
}

// Object is a field that is an object itself.
func (o Object) Object(key string) (Object, error) { return parse(o[key]) }
