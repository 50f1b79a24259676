package manager

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/antano/antano/manager/internal/control"
)

const (
	// checkTime bounds the check of the new binary, stillTime how long the processes may
	// take to stop sending, restTime how long is waited for results before.
	checkTime = 30 * time.Second
	stillTime = 2 * time.Second
	restTime  = 100 * time.Millisecond
)

// executable is the file that this process was started from, whatever is there now.
var executable, _ = os.Executable()

// Upgrade checks the binary that is at this one's path now and executes it in place, as
// `antano upgrade` does. It returns when that has begun; how it goes on is logged. Safe
// for concurrent use. Another change under way is an error.
func (s *Server) Upgrade() error {
	_, err := s.beginUpgrade()
	return err
}

func (s *Server) beginUpgrade() (*operation, error) { return s.operations.begin("upgrade", s.upgrade) }

// upgrade does not return when it succeeds: the new binary adopts the processes.
func (s *Server) upgrade(ctx context.Context, op *operation) error {
	op.say(nil, "checking %s", executable)
	if err := s.checkBinary(ctx); err != nil {
		return fmt.Errorf("nothing was changed: %w", err)
	}
	s.remember()
	op.say(nil, "executing it; the processes and their clients stay")
	s.tell("reloading") // the new binary tells that it is ready
	defer s.tell("ready")
	defer s.keeper.touch()
	defer s.upgrading.Store(nil)
	s.controlled.shut() // commands wait for the new binary
	defer s.controlled.open()
	defer s.router.Resume()
	still, cancel := context.WithTimeout(ctx, stillTime)
	defer cancel()
	if err := s.router.Quiet(still, restTime); err != nil {
		return fmt.Errorf("nothing was changed: %w", err)
	}
	return s.execute()
}

// checkBinary has the new binary read the params and plugins.
func (s *Server) checkBinary(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, checkTime)
	defer cancel()
	args := []string{"validate", "--runtime-dir", s.plan.RuntimeDir}
	if s.cfg.Params != "" {
		args = append(args, "--params", s.cfg.Params)
	}
	for _, dir := range s.cfg.PluginDirs {
		args = append(args, "--plugin-dir", dir)
	}
	if s.cfg.ServerIDGiven {
		args = append(args, "--id", strconv.Itoa(s.cfg.ServerID))
	}
	if s.cfg.Address != "" {
		args = append(args, "--address", s.cfg.Address)
	}
	var said strings.Builder
	cmd := exec.CommandContext(ctx, executable, args...)
	cmd.Stderr = &said
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s does not accept the params: %w: %s", executable, err, strings.TrimSpace(said.String()))
	}
	return nil
}

// execute replaces this process. The lock of the runtime directory is never free.
func (s *Server) execute() error {
	kept, err := s.descriptors()
	if err == nil {
		kept.Open, err = s.router.Snapshot()
	}
	if err != nil {
		return fmt.Errorf("nothing was changed: %w", err)
	}
	s.upgrading.Store(kept)
	s.writeState()
	syscall.ForkLock.Lock() // a child that is forked now would hold them
	defer syscall.ForkLock.Unlock()
	if err := pass(kept, 0); err != nil {
		return errors.Join(fmt.Errorf("nothing was changed: %w", err), pass(kept, unix.FD_CLOEXEC))
	}
	given, takeBack := s.given.Announce()
	err = syscall.Exec(executable, os.Args, append(os.Environ(), given...))
	takeBack()
	return errors.Join(fmt.Errorf("nothing was changed: execute %s: %w", executable, err), pass(kept, unix.FD_CLOEXEC))
}

// upgradeTime is how long a new binary may take to answer.
const upgradeTime = 20 * time.Second

// Upgrade has the server execute the binary that is at its path now, gives what happens
// to take, and returns when that one is ready.
func (c *Control) Upgrade(ctx context.Context, take func(Progress) error) error {
	before, err := c.Status(ctx)
	if err != nil {
		return err
	}
	asked, refused := time.Now(), false
	err = c.operate(ctx, "/v1/"+control.Upgrade, func(p Progress) error {
		refused = refused || p.Error != ""
		return take(p)
	})
	if refused || ctx.Err() != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, upgradeTime)
	defer cancel()
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for {
		now, statusErr := c.Status(ctx)
		if statusErr == nil && now.PID == before.PID && now.State == "ready" && now.UptimeS < time.Since(asked).Seconds() {
			return take(Progress{Time: time.Now(), Message: "upgrade: done, version " + now.Version, PID: now.PID, Done: true})
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return fmt.Errorf("the server with pid %d has begun to upgrade, but is not ready again within %s: %w", before.PID, upgradeTime, errors.Join(err, statusErr))
		}
	}
}
