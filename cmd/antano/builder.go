package main

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
)

// builder runs a command whenever a source file changes. What it builds, the server
// finds and rolls out by itself.
type builder struct {
	command string
	dirs    []string
	out     io.Writer
}

func (b *builder) register(c *cobra.Command) {
	c.Flags().StringVar(&b.command, "build", "", "with --dev: shell command that builds the plugins, run at the start and whenever a file in --watch changes")
	c.Flags().StringArrayVar(&b.dirs, "watch", nil, "with --build: directory with the sources (repeatable; default: the current one)")
}

// sourceInterval is how often the sources are looked at. Looking beats being told here:
// editors replace files, and trees of plugins are small.
const sourceInterval = 300 * time.Millisecond

// stamp is what a look at a file shows.
type stamp struct {
	size     int64
	modified time.Time
}

// run builds when the sources have changed and then were left alone for one look, until
// ctx ends. A build that fails leaves what runs as it is.
func (b *builder) run(ctx context.Context) {
	tick := time.NewTicker(sourceInterval)
	defer tick.Stop()
	built := b.look()
	seen := built
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		now := b.look()
		settled := maps.Equal(now, seen)
		seen = now
		if !settled || maps.Equal(now, built) {
			continue
		}
		built = now
		if err := b.build(ctx); err != nil && ctx.Err() == nil {
			fmt.Fprintf(b.out, "build failed (%v): what was built before serves on\n", err)
		}
	}
}

// build runs the command once. Its end is that of all it has started.
func (b *builder) build(ctx context.Context) error {
	fmt.Fprintf(b.out, "building: %s\n", b.command)
	cmd := exec.CommandContext(ctx, "sh", "-c", b.command)
	cmd.Stdout, cmd.Stderr = b.out, b.out
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = time.Second
	return cmd.Run()
}

// look notes the sources: all files that are neither executable, as what is built
// usually is, nor hidden. A tree that cannot be read is one without files.
func (b *builder) look() map[string]stamp {
	dirs := b.dirs
	if len(dirs) == 0 {
		dirs = []string{"."}
	}
	files := map[string]stamp{}
	for _, dir := range dirs {
		_ = filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
			if err != nil {
				return nil
			}
			if path != dir && strings.HasPrefix(e.Name(), ".") {
				if e.IsDir() {
					return fs.SkipDir
				}
				return nil
			}
			if st, err := e.Info(); err == nil && st.Mode().IsRegular() && st.Mode()&0o111 == 0 {
				files[path] = stamp{st.Size(), st.ModTime()}
			}
			return nil
		})
	}
	return files
}

// check says what is wrong with the flags.
func (b *builder) check(dev bool) error {
	switch {
	case b.command != "" && !dev:
		return usageError("--build does nothing without --dev")
	case len(b.dirs) > 0 && b.command == "":
		return usageError("--watch does nothing without --build")
	}
	return nil
}
