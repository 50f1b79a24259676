// Package wire is the relay link's frame codec and the bounded queues behind it.
//
// A link is one Unix stream socket between a plugin process and the manager. It
// carries frames in order, both ways; docs/protocol.md describes every byte. The
// codec never allocates in steady state: parsed frames alias the reader's buffer
// and are valid until the next call to Reader.Next.
package wire
