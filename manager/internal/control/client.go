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
	return c.short(ctx, http.MethodGet, target, out)
}

// Post is Get for a request that changes something.
func (c *Client) Post(ctx context.Context, target string, out any) error {
	return c.short(ctx, http.MethodPost, target, out)
}

// short makes a request that is answered in full within c.wait.
func (c *Client) short(ctx context.Context, method, target string, out any) error {
	ctx, cancel := context.WithTimeoutCause(ctx, c.wait, c.silent())
	defer cancel()
	res, err := c.do(ctx, method, target)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if err != nil {
		return fmt.Errorf("read the answer of the server at %s: %w", c.path, err)
	}
	if err := json.Unmarshal(body, out); err != nil {
		return fmt.Errorf("the answer of the server at %s is not what was asked for: %w", c.path, err)
	}
	return nil
}

// Stream gives every record of the answer to take, until the answer ends, ctx ends or
// take fails. The server has 10 s to begin.
func (c *Client) Stream(ctx context.Context, method, target string, take func(json.RawMessage) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	begins := time.AfterFunc(c.wait, func() { cancel(c.silent()) })
	defer begins.Stop()
	res, err := c.do(ctx, method, target)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	begins.Stop()
	for in := json.NewDecoder(res.Body); ; {
		var record json.RawMessage
		err := in.Decode(&record)
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil && ctx.Err() != nil:
			return ctx.Err()
		case err != nil:
			return fmt.Errorf("read the answer of the server at %s: %w", c.path, err)
		}
		if err := take(record); err != nil {
			return err
		}
	}
}

func (c *Client) silent() error {
	return fmt.Errorf("no answer within %s; is the server stopped (SIGSTOP) or this machine overloaded?", c.wait)
}

// do makes a request; the caller closes the body of the answer, which is a good one.
func (c *Client) do(ctx context.Context, method, target string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, "http://antano"+target, nil)
	if err != nil {
		return nil, err
	}
	res, err := c.http.Do(req)
	if err != nil {
		if context.Cause(ctx) != nil {
			err = context.Cause(ctx)
		}
		return nil, fmt.Errorf("talk to the server at %s: %w", c.path, err)
	}
	if res.StatusCode == http.StatusOK {
		return res, nil
	}
	defer res.Body.Close()
	var p problem
	body, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if err == nil && json.Unmarshal(body, &p) == nil && p.Error != "" {
		return nil, errors.New(p.Error)
	}
	return nil, fmt.Errorf("the server at %s answered %s", c.path, res.Status)
}
