package main_test

import (
	"os"
	"os/exec"
	"testing"
)

// foreign skips a test that needs a client we did not write, except in CI, which installs
// them all.
func foreign(t *testing.T, why string) {
	t.Helper()
	if os.Getenv("CI") == "1" {
		t.Fatalf("%s; .ci/run is to install it", why)
	}
	t.Skipf("%s; .ci/run installs it", why)
}

// pythonWith finds a Python that has a module: Debian's modules are not for other Pythons.
func pythonWith(t *testing.T, module string) string {
	t.Helper()
	for _, python := range []string{"python3", "/usr/bin/python3"} {
		if exec.Command(python, "-c", "import "+module).Run() == nil {
			return python
		}
	}
	foreign(t, "the test needs Python's module "+module)
	return ""
}
