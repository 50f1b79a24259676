// Package history remembers what happened: a Ring keeps the newest records within a
// bound in bytes, and any number of Readers follow it, each at its own pace. Adding
// never waits for a reader; one that is too slow is told how many records it missed.
package history
