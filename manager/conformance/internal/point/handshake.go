package point

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"syscall"

	"github.com/antano/antano/manager/conformance/internal/rig"
	"github.com/antano/antano/shared"
)

// cookie starts the file by hand.
func cookie(t *trial) (string, error) {
	cmd := exec.CommandContext(t.ctx, t.Path)
	cmd.Env = []string{"PATH=/usr/local/bin:/usr/bin:/bin"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = quiet
	var out, errs strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	var exit *exec.ExitError
	switch text := strings.TrimSpace(errs.String()); {
	case t.ctx.Err() != nil:
		return "", fmt.Errorf("started without $%s it does not end (%w); look at the cookie first of all", shared.CookieKey, context.Cause(t.ctx))
	case err != nil && !errors.As(err, &exit):
		return "", fmt.Errorf("it cannot be started: %w", err)
	case cmd.ProcessState.ExitCode() != 1:
		return "", fmt.Errorf("started without $%s it ends with %s; exit 1", shared.CookieKey, cmd.ProcessState)
	case text == "":
		return "", fmt.Errorf("started without $%s it says nothing on stderr; say in one sentence that antano starts it", shared.CookieKey)
	case out.Len() > 0:
		return "", fmt.Errorf("started without $%s it prints %.80q on stdout; nothing may be there before the handshake", shared.CookieKey, out.String())
	default:
		line, _, _ := strings.Cut(text, "\n")
		return fmt.Sprintf("it said %.120q and exited 1", line), nil
	}
}

func handshake(t *trial) (string, error) {
	r, err := t.rig(nil)
	if err != nil {
		return "", err
	}
	p, err := r.Launch(t.ctx, rig.Bare())
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("it serves the control plane at %s", strings.TrimPrefix(p.Socket(), p.Dir+"/")), nil
}

// largeRequest is over what gRPC servers accept by default, and below what they have to.
const largeRequest = 6 << 20

func controlPlane(t *trial) (string, error) {
	r, err := t.rig(nil)
	if err != nil {
		return "", err
	}
	p, err := r.Launch(t.ctx, rig.Bare())
	if err != nil {
		return "", err
	}
	c, err := p.Control()
	if err != nil {
		return "", err
	}
	defer c.Close()
	if err := c.Serving(t.ctx); err != nil {
		return "", fmt.Errorf("grpc.health.v1.Health does not say SERVING for the service name plugin: %w", err)
	}
	if err := c.LargeDescribe(t.ctx, largeRequest); err != nil {
		return "", fmt.Errorf("a request of 6 MiB is refused; raise the server's limit to 16 MiB both ways: %w", err)
	}
	return "health is SERVING, and a request of 6 MiB was answered", nil
}

func shutdown(t *trial) (string, error) {
	r, err := t.rig(nil)
	if err != nil {
		return "", err
	}
	p, err := r.Launch(t.ctx, rig.Bare())
	if err != nil {
		return "", err
	}
	c, err := p.Control()
	if err != nil {
		return "", err
	}
	defer c.Close()
	asked := c.Shutdown(t.ctx) // which may be cut short by the exit that it asks for
	if _, err := p.Ended(t.ctx); err != nil {
		return "", errors.Join(fmt.Errorf("plugin.GRPCController/Shutdown: %w", err), asked)
	}
	return "it ended: " + p.Exit().Cause, nil
}
