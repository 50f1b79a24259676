// Package plugin is the SDK for service plugins: Serve runs a Service as a process
// of the manager, and Host is what the service sees of the manager.
//
// Ordering: messages of one client to one entity leave in the order of its Receive
// calls, and arrive at a handler in the order sent. Blocking: only Receive, Start,
// Drain, Stop and PassThroughMessage may block. Ownership: byte slices passed in are
// not kept after the call; byte slices handed out are valid until the callee returns.
//
// Panics of the author's code are recovered wherever the SDK calls it, logged with their
// stack, and counted as the metric `panics`. In a handler, a Writer or Frame, and in a
// goroutine of Host.Go, one costs that message, client or goroutine. In MoveOut and MoveIn it
// gives the move up, and the clients stay. Describe, Start, Drain and Stop fail with it as
// with an error: after Start the process exits 1 and is started again. In Health,
// AssignSlots and MoveBack health fails, and the process is replaced. A goroutine that the
// author starts with the go statement ends the process, as in every Go program.
package plugin
