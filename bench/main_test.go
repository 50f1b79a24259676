package main

import (
	"fmt"
	"os"
	"testing"

	"github.com/antano/antano/internal/measure/rawplugin"
	"github.com/antano/antano/shared"
)

// The test binary is also what the benchmark executes itself as.
func TestMain(m *testing.M) {
	if role := os.Getenv(roleKey); role != "" {
		if err := play(role); err != nil {
			fmt.Fprintln(os.Stderr, "bench", role+":", err)
			os.Exit(1)
		}
		return
	}
	if os.Getenv(shared.CookieKey) != "" {
		rawplugin.Serve()
		return
	}
	os.Exit(m.Run())
}
