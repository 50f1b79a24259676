// Command antano runs the Antano server and talks to a running one.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/antano/antano/manager"
)

// version is set by the build.
var version = "dev"

func main() {
	manager.LaunchHelper()
	if bePartOfBench() {
		return
	}
	os.Exit(execute(os.Args[1:]))
}

// execute runs one command line and returns its exit code. Signals are taken
// before anything else happens: the first one ends the context, which every
// command respects; `run` treats a second one itself.
func execute(args []string) int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	root := newRoot()
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return 0
	}
	var answered answeredError
	if !errors.As(err, &answered) {
		fmt.Fprintln(os.Stderr, "antano:", err)
	}
	return manager.ExitCode(err)
}
