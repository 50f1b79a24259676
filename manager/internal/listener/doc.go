// Package listener opens every listening socket of a service and holds it for the
// service's whole life, and the page of counters that its processes share.
//
// Sockets are raw descriptors, never os.Files: O_NONBLOCK lives in the open
// description that all processes share, and anything that calls File.Fd would clear
// it for every one of them. They are non-blocking and close-on-exec.
//
// Ownership: who calls Bind, BindUnixSocket or NewPage closes what it returns; a
// failed call leaves nothing open. Blocking: only Bind, and only to resolve a host
// name. A Group may be used by one goroutine at a time, a Page by any.
package listener
