// Package plugintest is the test kit for authors of service plugins. Start runs a
// service in the test's own process against a small manager: real sockets on loopback
// or in a temporary directory, a real relay link, and Peers, which are clients of
// another service in another process, to write to it and to hear what it says.
//
// Start, Peer and the methods of Harness fail the test when something is wrong; they
// are to be called from the test's goroutine. Everything ends with the test.
package plugintest
