package client

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"
)

// run starts a command of the author, which speaks lines.
func (c *Client) run(cfg *Config) error {
	cmd := exec.Command("sh", "-c", cfg.Command)
	cmd.Env = append(os.Environ(), "ANTANO_ADDRESS="+cfg.Address, "ANTANO_ENDPOINT="+cfg.Params.Endpoint)
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	in, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("run the client %q: %w", cfg.Command, err)
	}
	c.conn = pipes{out, in}
	c.frame = func(b []byte) []byte { return append(bytes.Clone(b), '\n') }
	c.unwrap = readLine
	c.closed = func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		_ = cmd.Wait()
	}
	return nil
}

// pipes are the outputs and inputs of a command.
type pipes struct {
	io.ReadCloser
	in io.WriteCloser
}

func (p pipes) Write(b []byte) (int, error) { return p.in.Write(b) }
func (p pipes) Close() error                { return errors.Join(p.in.Close(), p.ReadCloser.Close()) }
