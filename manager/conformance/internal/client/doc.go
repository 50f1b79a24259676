// Package client has the clients of a plugin under test: they speak message objects in
// JSON over the plugin's socket, in its framing, or through a command of its author.
//
// One goroutine reads each client; Close ends it. Send and Receive are for one goroutine
// at a time each.
package client
