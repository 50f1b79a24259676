// Package testserver builds and runs the real binaries for tests and for the chaos
// harness. It asserts nothing by itself: what goes wrong is an error.
package testserver

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

const module = "github.com/antano/antano"

// plugins are built beside antano.
var plugins = map[string]string{
	"udp": "/plugins/udp", "tcp": "/plugins/tcp", "unix": "/plugins/unix",
	"websocket": "/plugins/websocket", "rest": "/plugins/rest", "echo": "/examples/echo",
}

// Build makes antano, its plugins and the echo example with one command, in dir as
// antano looks for them: dir/antano and dir/plugins/antano-service-*. Flags are for
// `go build`; extra are packages of this module ("./…" from its root is "/…") whose
// binaries are left in dir. The working directory must be in the module.
func Build(dir string, flags []string, extra ...string) error {
	packages := []string{module + "/cmd/antano"}
	for _, p := range plugins {
		packages = append(packages, module+p)
	}
	for _, p := range extra {
		packages = append(packages, module+p)
	}
	args := append([]string{"build", "-ldflags=-w", "-o", dir + "/"}, flags...)
	cmd := exec.Command("go", append(args, packages...)...)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build %v: %w\n%s", packages, err, out)
	}
	if err := os.Mkdir(filepath.Join(dir, "plugins"), 0o755); err != nil {
		return err
	}
	for name := range plugins {
		if err := os.Rename(filepath.Join(dir, name), PluginPath(dir, name)); err != nil {
			return err
		}
	}
	return nil
}

// PluginPath is where Build leaves the plugin of a type.
func PluginPath(dir, name string) string {
	return filepath.Join(dir, "plugins", "antano-service-"+name)
}
