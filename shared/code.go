package shared

import "fmt"

// Code says why a message was not delivered. Its String is the `code` of an
// `error` answer and the key in `drops`; its number is what travels on the relay
// link. Source: docs/message.md, docs/protocol.md "Codes".
type Code uint8

// The codes. CodeTimeout and CodeProcessLost mean that it is unknown whether the
// message was delivered; every other code means that it was not. CodeKernel is
// never answered: it is the `drops` key for what the kernel discarded.
const (
	CodeNone Code = iota
	CodeBadMessage
	CodeTooLarge
	CodeNoDestination
	CodeNoSuchEntity
	CodeNoSuchProcess
	CodeOverloaded
	CodeTimeout
	CodeProcessLost
	CodeUnsupported
	CodeDenied
	CodeShuttingDown
	CodeKernel

	// NumCodes is how many codes there are, for tables indexed by Code.
	NumCodes = int(CodeKernel) + 1
)

var codeNames = [NumCodes]string{
	"none", "bad_message", "too_large", "no_destination", "no_such_entity",
	"no_such_process", "overloaded", "timeout", "process_lost", "unsupported",
	"denied", "shutting_down", "kernel",
}

// String returns the code's name as clients see it.
func (c Code) String() string {
	if int(c) < len(codeNames) {
		return codeNames[c]
	}
	return fmt.Sprintf("code_%d", uint8(c))
}

// ParseCode returns the code with the given name, and false for an unknown one.
func ParseCode(name string) (Code, bool) {
	for i, n := range codeNames {
		if n == name && i != int(CodeNone) {
			return Code(i), true
		}
	}
	return CodeNone, false
}

// Error is a failure that a client is told of: a code and one sentence that says
// what to change. It is an error value, so that a handler may return one.
type Error struct {
	Code Code
	Text string
}

// Errorf builds an Error with a formatted sentence.
func Errorf(code Code, format string, args ...any) *Error {
	return &Error{Code: code, Text: fmt.Sprintf(format, args...)}
}

func (e *Error) Error() string { return e.Code.String() + ": " + e.Text }
