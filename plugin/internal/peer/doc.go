// Package peer is a manager for tests: the other end of real relay links, good enough
// to route between the processes of one service in one test. It refuses nothing, is
// fair to nobody and trusts everybody.
//
// One goroutine reads each link and one writes it; Close ends them all. All methods
// are safe for concurrent use.
package peer
