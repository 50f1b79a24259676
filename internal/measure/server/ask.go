package server

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/antano/antano/manager"
)

// Antano runs another command against the server, bounded by ctx, and returns what it
// printed and its exit code.
func (s *Server) Antano(ctx context.Context, args ...string) (stdout, stderr string, code int, err error) {
	return Antano(ctx, s.cfg.Bin, "", append(args, "--runtime-dir", s.RuntimeDir())...)
}

// Antano runs a command of the binary bin. A code other than 0 is no error.
func Antano(ctx context.Context, bin, stdin string, args ...string) (stdout, stderr string, code int, err error) {
	cmd := exec.CommandContext(ctx, bin, args...)
	var out, errs bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(stdin), &out, &errs
	err = cmd.Run()
	if _, exited := errors.AsType[*exec.ExitError](err); err != nil && !exited {
		return "", "", -1, fmt.Errorf("antano %v: %w", args, err)
	}
	return out.String(), errs.String(), cmd.ProcessState.ExitCode(), nil
}

// Status asks for /v1/status.
func (s *Server) Status() (st manager.Status, err error) {
	err = s.Ask("/v1/status", &st)
	return st, err
}

// Service asks for the status of one service.
func (s *Server) Service(name string) (manager.ServiceStatus, error) {
	st, err := s.Status()
	if err != nil {
		return manager.ServiceStatus{}, err
	}
	for _, svc := range st.Services {
		if svc.Name == name {
			return svc, nil
		}
	}
	return manager.ServiceStatus{}, fmt.Errorf("status shows no service %s", name)
}

// Ask gets a resource of the control socket.
func (s *Server) Ask(path string, into any) error {
	client := http.Client{Timeout: Patience, Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "unix", filepath.Join(s.RuntimeDir(), "control.sock"))
	}}}
	answer, err := client.Get("http://antano" + path)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", path, answer.Status)
	}
	return json.NewDecoder(answer.Body).Decode(into)
}
