package manager

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"

	"github.com/antano/antano/manager/internal/launch"
	"github.com/antano/antano/manager/internal/params"
	"github.com/antano/antano/shared"
)

// Plugin is a service plugin that was found, and what it says of itself.
type Plugin struct {
	Type        string             `json:"type"`
	Path        string             `json:"path"`
	SHA256      string             `json:"sha256"`
	Description shared.Description `json:"description"`
	Problem     string             `json:"problem,omitempty"` // why it cannot be used
}

// open opens the plugin's file and checks that it is still the one that was described.
func (p Plugin) open() (*os.File, error) {
	f, err := os.Open(p.Path)
	if err != nil {
		return nil, fmt.Errorf("open plugin: %w", err)
	}
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return nil, err
	}
	if hex.EncodeToString(h.Sum(nil)) != p.SHA256 {
		return nil, fmt.Errorf("plugin %s changed since it was described; start again", p.Path)
	}
	return f, nil
}

func lookup(dirs []string, typ string) (Plugin, error) {
	self, _ := os.Executable()
	if len(dirs) == 0 {
		dirs = []string{filepath.Join(filepath.Dir(self), "plugins")}
	}
	for _, d := range dirs {
		path := filepath.Join(d, shared.PluginPrefix+typ)
		if b, err := os.ReadFile(path); err == nil {
			sum := sha256.Sum256(b)
			return Plugin{Type: typ, Path: path, SHA256: hex.EncodeToString(sum[:])}, nil
		}
	}
	return Plugin{}, fmt.Errorf("no plugin antano-service-%s in %v", typ, dirs)
}

func describe(ctx context.Context, p Plugin) (Plugin, error) {
	dir, err := os.MkdirTemp("", "antano-d")
	if err != nil {
		return p, err
	}
	defer os.RemoveAll(dir)
	proc, err := launch.Start(ctx, launch.Spec{Path: p.Path, Dir: dir})
	if err != nil {
		return p, err
	}
	defer proc.Close()
	p.Description, err = proc.Describe(ctx)
	return p, err
}

func findPlugins(ctx context.Context, dirs []string, rows []params.Row) (map[string]Plugin, params.Errors) {
	found := map[string]Plugin{}
	var mu sync.Mutex
	var wg sync.WaitGroup
	var issues params.Errors
	for _, r := range rows {
		wg.Go(func() {
			p, err := lookup(dirs, r.ServiceType)
			if err == nil {
				p, err = describe(ctx, p)
			}
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				issues = append(issues, r.Issue("service_type", "%v", err))
				return
			}
			found[r.ServiceType] = p
		})
	}
	wg.Wait()
	return found, issues
}

func findInternal(ctx context.Context, dirs []string, found map[string]Plugin) (Plugin, error) {
	if p, ok := found["unix"]; ok {
		return p, nil
	}
	p, err := lookup(dirs, "unix")
	if err != nil {
		p, err = lookup(nil, "unix")
	}
	if err != nil {
		return p, err
	}
	return describe(ctx, p)
}

func (s PlannedService) inMissingDir() bool {
	_, err := os.Stat(filepath.Dir(s.Params.Endpoint))
	return s.Plugin.Description.Transport == shared.TransportUnix && err != nil
}

func Plugins(ctx context.Context, dirs []string) ([]Plugin, error) { return nil, nil }

func DescribePlugin(ctx context.Context, dirs []string, name string) (Plugin, error) {
	p, err := lookup(dirs, name)
	if err != nil {
		return p, err
	}
	return describe(ctx, p)
}
