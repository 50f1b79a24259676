package format

import "github.com/antano/antano/shared"

// fault is what makes a value malformed, "" when nothing does.
type fault string

const (
	faultDeep fault = "it is nested deeper than 512 levels"
	faultEnd  fault = "it ends too early"
)

// maxDepth bounds how deep arrays and objects of one value nest.
const maxDepth = 512

// bad builds the error for a payload that breaks the rules of the message object.
func bad(format string, args ...any) *shared.Error {
	return shared.Errorf(shared.CodeBadMessage, format, args...)
}

// unsupported builds the error for a value that a format cannot carry.
func unsupported(format string, args ...any) *shared.Error {
	return shared.Errorf(shared.CodeUnsupported, format, args...)
}
