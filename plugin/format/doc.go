// Package format is the codec of the built-in message formats: JSON, msgpack,
// text and binary.
//
// Parse reads what a client sent, the Append functions build what a client gets,
// and Convert turns a message value from one format into another. A value whose
// formats are equal is never decoded: Parse notes where it stands and
// AppendMessage copies it.
//
// Nothing here blocks, holds state or starts goroutines. The functions are safe
// for concurrent use as long as no two calls share an Envelope or a destination
// slice. Append functions follow the convention of the built-in append: they may
// reallocate dst, and the result owns it. Every error is a *shared.Error whose
// text tells the client what to change.
//
// Source: docs/message.md.
package format
