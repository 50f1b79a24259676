// Package web is HTTP as the transport of a service plugin: a net/http server on the
// listening socket that all processes of the service share, which drains and stops as the
// manager asks, with bounds on what a peer may send, which web pages may talk to the
// service, and what an error code is in HTTP. plugins/websocket and plugins/rest are built
// on it.
//
// Blocking: Drain returns at once, Stop waits for every handler; handlers may block for as
// long as their connection lives, and end with the context of their request. Ownership: the
// Server owns the connections; a handler that hijacks one closes it before it returns. The
// rest of the package is plain values. Everything is safe for concurrent use.
package web
