package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/antano/antano/manager"
)

func newPluginAttach() *cobra.Command {
	var t target
	c := &cobra.Command{
		Use: "attach SERVICE[/PROCESS] -- COMMAND [ARG...]", Short: "Start a plugin by hand, as a process of a running server",
		Long: `Run COMMAND, which starts the plugin, in this terminal: under a debugger, with another
build, with more in its environment. It takes the place of a process of the service,
clients included, as in a restart; the server must run with --dev. When it ends, the
server starts the process as always.

  antano plugin attach chat -- dlv exec ./antano-service-chat`,
		Args: func(c *cobra.Command, args []string) error {
			if len(args) < 2 || c.ArgsLenAtDash() != 1 {
				return usageError("%s takes SERVICE or SERVICE/PROCESS, then -- and the command that starts the plugin; see '%s --help'", c.CommandPath(), c.CommandPath())
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			service, process, named := strings.Cut(args[0], "/")
			if service == "" || named && process == "" {
				return usageError("%q is neither SERVICE nor SERVICE/PROCESS", args[0])
			}
			path, err := exec.LookPath(args[1])
			if err != nil {
				return fmt.Errorf("attach: %w; give the command that starts the plugin", err)
			}
			control, err := t.connect()
			if err != nil {
				return err
			}
			say := func(p manager.Progress) error {
				_, err := fmt.Fprintln(c.ErrOrStderr(), p.Message)
				return err
			}
			return control.Attach(c.Context(), service, process, say, func(ctx context.Context, hand manager.Hand) error {
				return runByHand(ctx, path, args[1:], hand)
			})
		},
	}
	t.register(c)
	return c
}

// runByHand runs a command in this terminal, as a job of its own, and returns when it
// has ended. It is asked to end when ctx does.
func runByHand(ctx context.Context, path string, argv []string, hand manager.Hand) error {
	// os/exec would make the sockets blocking for everybody who shares them.
	files := []uintptr{0, 1, 2}
	for _, fd := range hand.FDs {
		files = append(files, uintptr(fd))
	}
	attr := &syscall.SysProcAttr{Setpgid: true}
	if tty, err := os.OpenFile("/dev/tty", os.O_RDWR, 0); err == nil {
		defer tty.Close()
		attr.Foreground, attr.Ctty = true, int(tty.Fd())
	}
	pid, err := syscall.ForkExec(path, argv, &syscall.ProcAttr{Env: slices.Concat(os.Environ(), hand.Env), Files: files, Sys: attr})
	for _, fd := range hand.FDs {
		_ = syscall.Close(fd)
	}
	if err != nil {
		return fmt.Errorf("start %s: %w", path, err)
	}
	p, err := os.FindProcess(pid)
	if err != nil {
		return err
	}
	defer context.AfterFunc(ctx, func() { _ = p.Signal(syscall.SIGTERM) })()
	state, err := p.Wait()
	switch {
	case err != nil:
		return fmt.Errorf("wait for %s: %w", path, err)
	case !state.Success() && ctx.Err() == nil:
		return fmt.Errorf("%s: %s", path, state)
	}
	return nil
}
