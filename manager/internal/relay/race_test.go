//go:build race

package relay

// raced: sync.Pool forgets at random under the race detector.
const raced = true
