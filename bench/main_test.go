package main

import (
	"os"
	"testing"
)

// The test binary is also what the benchmark executes itself as.
func TestMain(m *testing.M) {
	if takePart() {
		return
	}
	os.Exit(m.Run())
}
