//go:build race

package relay

// raced: what the race detector makes slow, or has memory of its own for, is tested without.
const raced = true
