// Package link is a plugin process's side of the relay link: it says hello, reads
// frames and hands them on, queues frames for the manager, and answers what the
// manager asks of the link itself (health, slots, client sequences).
//
// One goroutine reads, one writes what the socket did not take at once, one assigns
// slots; Close ends all three and waits for them. The reader calls the Receiver, which
// must not block. Everything else is safe for concurrent use.
// Source: docs/protocol.md "The relay link".
package link
