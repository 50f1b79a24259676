package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
)

// maxAnswer bounds what a client reads: a list of 100 000 clients fits.
const maxAnswer = 64 << 20

// Client talks to the control socket at a path. It is safe for concurrent use.
type Client struct {
	http http.Client
	path string
}

// NewClient returns a client; nothing is dialled yet.
func NewClient(path string) *Client {
	return &Client{path: path, http: http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, "unix", path)
		},
	}}}
}

// Get reads the resource at target into out.
func (c *Client) Get(ctx context.Context, target string, out any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://antano"+target, nil)
	if err != nil {
		return err
	}
	res, err := c.http.Do(req)
	if err != nil {
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
