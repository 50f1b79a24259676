// Command chaos disturbs a running server and keeps books: real clients over all
// transports send at a steady rate through real binaries while one kind of fault
// happens again and again, each on a server of its own. Every copy of every message
// must end in a column of the ledger; see docs/chaos.md. `make chaos` runs it.
package main
