package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"
)

// maxAnswer bounds what a client reads: a list of 100 000 clients fits.
const maxAnswer = 64 << 20

// Client talks to the control socket at a path. It is safe for concurrent use.
type Client struct {
	http http.Client
	path string
	wait time.Duration // for a whole answer
}

// NewClient returns a client; nothing is dialled yet.
func NewClient(path string) *Client {
	return &Client{path: path, wait: patience, http: http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, "unix", path)
		},
	}}}
}

// patience is how long a server may take to answer in full. It answers from memory,
// and asks its own processes for less.
const patience = 10 * time.Second

// Get reads the resource at target into out, within 10 s.
func (c *Client) Get(ctx context.Context, target string, out any) error {
	ctx, cancel := context.WithTimeoutCause(ctx, c.wait, fmt.Errorf("no answer within %s; is the server stopped (SIGSTOP) or this machine overloaded?", c.wait))
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://antano"+target, nil)
	if err != nil {
		return err
	}
	res, err := c.http.Do(req)
	if err != nil {
		if context.Cause(ctx) != nil {
			err = context.Cause(ctx)
		}
		return fmt.Errorf("talk to the server at %s: %w", c.path, err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if err != nil {
		return fmt.Errorf("read the answer of the server at %s: %w", c.path, err)
	}
	if res.StatusCode != http.StatusOK {
		var p problem
		if json.Unmarshal(body, &p) == nil && p.Error != "" {
			return errors.New(p.Error)
		}
		return fmt.Errorf("the server at %s answered %s", c.path, res.Status)
	}
	if err := json.Unmarshal(body, out); err != nil {
		return fmt.Errorf("the answer of the server at %s is not what was asked for: %w", c.path, err)
	}
	return nil
}
