// Package transfer is a transfer connection: the records, and the descriptors that
// travel with some of them, that two processes exchange while clients move from one to
// the other. The manager pumps them untouched.
//
// Put never blocks and is safe for concurrent use; one goroutine at a time calls Next
// and TakeFD. Close ends the connection's goroutine and closes every descriptor that is
// not handed out. Source: docs/protocol.md "Moves".
package transfer
