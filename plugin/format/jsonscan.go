package format

import "unicode/utf8"

// What makes JSON malformed.
const (
	faultValue   fault = "a value is expected here"
	faultKey     fault = "a key in double quotes is expected here"
	faultColon   fault = "a colon is expected behind the key"
	faultComma   fault = "a comma or the closing bracket is expected here"
	faultControl fault = "a control character in a string must be escaped"
	faultEscape  fault = "the escape is unknown"
	faultNumber  fault = "the number is malformed"
	faultTail    fault = "something follows the value"
)

// nesting remembers for every open level whether it is an object.
type nesting struct {
	objects [maxDepth / 64]uint64
	depth   int
}

func (n *nesting) open(object bool) bool {
	if n.depth == maxDepth {
		return false
	}
	word, bit := n.depth/64, uint64(1)<<(n.depth%64)
	n.objects[word] &^= bit
	if object {
		n.objects[word] |= bit
	}
	n.depth++
	return true
}

func (n *nesting) inObject() bool {
	d := n.depth - 1
	return n.objects[d/64]>>(d%64)&1 == 1
}

// scanJSON returns the index behind the JSON value that begins at or after i. On a
// fault the index is where it was found. Whether strings are UTF-8 is not looked at.
func scanJSON(b []byte, i int) (int, fault) {
	i = skipSpace(b, i)
	if i < len(b) && (b[i] == '{' || b[i] == '[') {
		return scanNested(b, i)
	}
	return scanScalar(b, i)
}

// scanNested does the same for the array or object at i.
func scanNested(b []byte, i int) (int, fault) {
	var open nesting
	for {
		var why fault
		i = skipSpace(b, i)
		if i < len(b) && (b[i] == '{' || b[i] == '[') {
			var entered bool
			if i, entered, why = enter(&open, b, i); entered && why == "" {
				continue
			}
		} else {
			i, why = scanScalar(b, i)
		}
		if why != "" {
			return i, why
		}
		done := false
		if i, done, why = leave(&open, b, i); done || why != "" {
			return i, why
		}
	}
}

func scanScalar(b []byte, i int) (int, fault) {
	if i >= len(b) {
		return i, faultEnd
	}
	switch b[i] {
	case '"':
		return scanString(b, i+1)
	case 't':
		return scanWord(b, i, "true")
	case 'f':
		return scanWord(b, i, "false")
	case 'n':
		return scanWord(b, i, "null")
	}
	return scanNumber(b, i)
}

// enter opens the array or object at i. It returns entered when a value comes next,
// else the container was empty and is closed already.
func enter(open *nesting, b []byte, i int) (next int, entered bool, why fault) {
	object := b[i] == '{'
	if !open.open(object) {
		return i, false, faultDeep
	}
	i = skipSpace(b, i+1)
	if i < len(b) && b[i] == closer(object) {
		open.depth--
		return i + 1, false, ""
	}
	if object {
		i, why = scanKey(b, i)
	}
	return i, true, why
}

// leave goes on behind a value: over a comma to where the next one begins, and out
// of every container that ends here. done means that the outermost value has ended.
func leave(open *nesting, b []byte, i int) (next int, done bool, why fault) {
	for open.depth > 0 {
		i = skipSpace(b, i)
		if i >= len(b) {
			return i, false, faultEnd
		}
		object := open.inObject()
		switch {
		case b[i] == ',':
			i++
			if object {
				i, why = scanKey(b, i)
			}
			return i, false, why
		case b[i] != closer(object):
			return i, false, faultComma
		}
		i++
		open.depth--
	}
	return i, true, ""
}

func closer(object bool) byte {
	if object {
		return '}'
	}
	return ']'
}

// scanKey returns the index behind the colon of the key at or after i.
func scanKey(b []byte, i int) (int, fault) {
	i = skipSpace(b, i)
	if i >= len(b) {
		return i, faultEnd
	}
	if b[i] != '"' {
		return i, faultKey
	}
	i, why := scanString(b, i+1)
	if why != "" {
		return i, why
	}
	return scanColon(b, i)
}

func scanColon(b []byte, i int) (int, fault) {
	i = skipSpace(b, i)
	if i >= len(b) {
		return i, faultEnd
	}
	if b[i] != ':' {
		return i, faultColon
	}
	return i + 1, ""
}

func skipSpace(b []byte, i int) int {
	for i < len(b) && (b[i] == ' ' || b[i] == '\n' || b[i] == '\t' || b[i] == '\r') {
		i++
	}
	return i
}

// validID reports whether id is JSON and a string or an integer.
func validID(id []byte) bool {
	if len(id) == 0 {
		return false
	}
	if id[0] != '"' {
		i, why := scanNumber(id, 0)
		_, ok := parseInt(id)
		return ok && why == "" && i == len(id)
	}
	i, why := scanString(id, 1)
	return why == "" && i == len(id) && utf8.Valid(id)
}
