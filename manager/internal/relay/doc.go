// Package relay is the manager's side of the relay link and the core that routes
// between processes. It forwards payload bytes untouched and never decodes a
// message.
//
// One goroutine reads each link. It routes every frame in its buffer, appends it
// to the queues of the destinations and flushes those when its input runs dry, so
// frames of one source to one destination stay in order. No reader ever blocks on
// a destination: queues are bounded, what does not fit fails as overloaded, and a
// source is held back by the byte window of its lanes alone. A second goroutine
// for each link writes what the socket would not take at once.
//
// While a process is replaced two of its links are up. A move hands the clients of
// one link to another: a cut halts all readers for an instant, so that every message
// is either before it in the one queue or behind it in the other.
//
// The Router owns all goroutines: Serve waits for them. Everything else is safe
// for concurrent use and does not block unless it takes a context. Source:
// docs/protocol.md "The relay link".
package relay
