package testserver

import (
	"context"
	"path/filepath"

	"github.com/antano/antano/internal/measure/server"
)

// Patience bounds every wait for a server.
const Patience = server.Patience

// Server is an `antano run`.
type Server = server.Server

// Output collects what a program prints.
type Output = server.Output

// Prepare makes a server that is not started: binDir is what Build filled, params is
// YAML, where RUNTIME stands for the runtime directory, flags go to `antano run`.
func Prepare(binDir, params string, flags ...string) (*Server, error) {
	return server.Prepare(server.Config{Bin: filepath.Join(binDir, "antano"), Params: params, Level: "debug", Flags: flags})
}

// Antano runs a command of the binary bin. A code other than 0 is no error.
func Antano(ctx context.Context, bin, stdin string, args ...string) (stdout, stderr string, code int, err error) {
	return server.Antano(ctx, bin, stdin, args...)
}
