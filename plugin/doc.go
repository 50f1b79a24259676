// Package plugin is the SDK for service plugins: Serve runs a Service as a process
// of the manager, and Host is what the service sees of the manager.
//
// Ordering: messages of one client to one entity leave in the order of its Receive
// calls, and arrive at a handler in the order sent. Blocking: only Receive, Start,
// Drain, Stop and PassThroughMessage may block. Ownership: byte slices passed in are
// not kept after the call; byte slices handed out are valid until the callee returns.
package plugin
