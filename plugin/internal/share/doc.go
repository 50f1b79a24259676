// Package share is a process's view of its service's shared page: counters that
// the manager reads and that survive a crash, and how many clients the siblings
// have. Source: docs/protocol.md "Share page".
//
// Everything is an atomic access to memory: nothing blocks, and all methods are
// safe for concurrent use. Whoever opened the page closes it, after the last use.
package share
