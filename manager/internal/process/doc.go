// Package process keeps one process of a service running: it starts a generation,
// watches it, stops or replaces it, and asks a policy when to start the next.
//
// One goroutine, the one in Run, owns the state machine; everything that a plugin
// could delay is called from goroutines that Run waits for. Every step of a stop is
// bounded. Events are told from Run, in order, without locks held.
package process
