//go:build race

package main

// raceFlags build what the tests run like the tests themselves.
var raceFlags = []string{"-race"}
