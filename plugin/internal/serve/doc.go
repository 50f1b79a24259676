// Package serve is the life of a plugin process: what it inherits, the control plane
// over go-plugin, start, drain, stop, and the exit code.
//
// A Process is started, drained and stopped once each, one after another, whoever
// asks: the manager's RPCs, SIGTERM, or the loss of the manager. Main owns the process
// and never returns. Source: docs/protocol.md "Life of a process".
package serve
