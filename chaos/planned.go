package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/antano/antano/internal/testserver"
	"github.com/antano/antano/manager"
)

// commandTime bounds one command: eight processes, each watched for two seconds.
const commandTime = time.Minute

// antano runs a command against the server, which must succeed.
func (r *run) antano(ctx context.Context, args ...string) error {
	ctx, cancel := context.WithTimeout(ctx, commandTime)
	defer cancel()
	out, errs, code, err := r.server.Antano(ctx, args...)
	if err == nil && code != 0 {
		err = fmt.Errorf("antano %s: exit code %d\n%s%s", strings.Join(args, " "), code, out, errs)
	}
	return err
}

// refused runs a command that must fail.
func (r *run) refused(ctx context.Context, args ...string) error {
	ctx, cancel := context.WithTimeout(ctx, commandTime)
	defer cancel()
	_, errs, code, err := r.server.Antano(ctx, args...)
	if err == nil && (code == 0 || errs == "") {
		err = fmt.Errorf("antano %s: exit code %d and %q; it should fail and say why", strings.Join(args, " "), code, errs)
	}
	return err
}

// target picks a service that may be disturbed.
func (r *run) target() string { return targets[r.random.IntN(len(targets))] }

// restart replaces the processes of a service one by one, or one of them.
func restart(ctx context.Context, r *run) error {
	service := r.target()
	st, err := r.server.Status()
	if err != nil {
		return err
	}
	what := service
	if all := processesOf(st, service); r.random.IntN(2) == 0 {
		what = fmt.Sprintf("%s/%d", service, all[r.random.IntN(len(all))].ProcessID)
	}
	return r.antano(ctx, "restart", what)
}

// scale runs a service with eight processes, with one, and with two.
func scale(ctx context.Context, r *run) error {
	service := r.target()
	for _, n := range []int{1, 8, 2} {
		if err := r.antano(ctx, "scale", fmt.Sprintf("%s=%d", service, n)); err != nil {
			return err
		}
		err := r.await(ctx, fmt.Sprintf("%s has %d processes", service, n), func(st manager.Status) bool {
			return len(processesOf(st, service)) == n
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// reload changes a service, and changes it back.
func reload(ctx context.Context, r *run) error {
	service := r.target()
	changed := changeRow(r.fault.file(), service, "processes: 2", "processes: 3")
	if r.random.IntN(2) == 0 {
		changed = changeRow(r.fault.file(), service, "processes: 2", "processes: 2, restart: {delay: 3ms}")
	}
	for _, params := range []string{changed, r.fault.file()} {
		if err := r.reload(ctx, params, r.antano); err != nil {
			return err
		}
	}
	return nil
}

func (r *run) reload(ctx context.Context, params string, do func(context.Context, ...string) error) error {
	if err := r.server.WriteParams(params); err != nil {
		return err
	}
	return do(ctx, "reload")
}

// changeRow replaces a part of the row of a service.
func changeRow(params, service, old, with string) string {
	var b strings.Builder
	for line := range strings.Lines(params) {
		if strings.Contains(line, "name: "+service+",") {
			line = strings.Replace(line, old, with, 1)
		}
		b.WriteString(line)
	}
	return b.String()
}

// badReload asks for what cannot be: nothing may move.
func badReload(ctx context.Context, r *run) error {
	before, err := r.pids()
	if err != nil {
		return err
	}
	good := r.fault.file()
	for _, bad := range []string{
		"nonsense: {",
		changeRow(good, "tcp", "port: 0", "prot: 0"),
		changeRow(good, "echo", "service_type: echo", "service_type: missing"),
		changeRow(good, "tcp", "host: 127.0.0.1, port: 0", "host: 192.0.2.1, port: 1"), // not an address of this machine
	} {
		if err := r.reload(ctx, bad, r.refused); err != nil {
			return err
		}
	}
	if err := r.server.WriteParams(good); err != nil {
		return err
	}
	after, err := r.pids()
	if err == nil && after != before {
		err = fmt.Errorf("a bad reload has changed processes from %s to %s", before, after)
	}
	return err
}

// pids lists the processes of all services.
func (r *run) pids() (string, error) {
	st, err := r.server.Status()
	if err != nil {
		return "", err
	}
	var b strings.Builder
	for _, s := range st.Services {
		for _, p := range s.Processes {
			fmt.Fprintf(&b, " %s/%d:%d", s.Name, p.ProcessID, p.PID)
		}
	}
	return b.String(), nil
}

// newPlugin has a plugin binary change on disk, and reloads.
func newPlugin(ctx context.Context, r *run) error {
	path := testserver.PluginPath(r.binDir, []string{"udp", "tcp", "unix"}[r.random.IntN(3)])
	if err := rebuild(path); err != nil {
		return err
	}
	return r.antano(ctx, "reload")
}

// badPlugin puts a plugin on disk that cannot run: the old processes stay.
func badPlugin(ctx context.Context, r *run) (err error) {
	path := testserver.PluginPath(r.binDir, "tcp")
	before, err := r.pids()
	if err != nil {
		return err
	}
	good, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if err := replaceFile(path, strings.NewReader("#!/bin/sh\necho this build is broken >&2\nexit 1\n")); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, replaceFile(path, bytes.NewReader(good))) }()
	if err := r.refused(ctx, "reload"); err != nil {
		return err
	}
	after, err := r.pids()
	if err == nil && after != before {
		err = fmt.Errorf("a plugin that cannot run has changed processes from %s to %s", before, after)
	}
	return err
}

// rebuild replaces an executable by one with other bytes that does the same.
func rebuild(path string) error {
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	return replaceFile(path, io.MultiReader(bytes.NewReader(b), strings.NewReader("\n"+time.Now().String())))
}

// replaceFile puts an executable in the place of another in one step.
func replaceFile(path string, content io.Reader) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".new")
	if err != nil {
		return err
	}
	_, err = io.Copy(f, content)
	if err := errors.Join(err, f.Chmod(0o755), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}
