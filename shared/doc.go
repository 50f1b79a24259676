// Package shared holds what the manager and a plugin must agree on: the
// handshake constants, the params of a service, the message object, addresses,
// format ids, error codes and limits.
//
// It depends on the standard library alone, so that a third party who imports
// the SDK inherits nothing from here. Every type is a plain value: copying is
// cheap, nothing blocks, nothing is shared between goroutines.
package shared
