package manager

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/antano/antano/manager/internal/catalog"
	"github.com/antano/antano/manager/internal/event"
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

// describeTimeout bounds the start of a plugin that only describes itself.
const describeTimeout = 10 * time.Second

// descriptions remembers what plugins said, by checksum, as long as the program runs,
// and over its end for a successor.
var descriptions catalog.Cache

// Plugins lists what the plugin directories hold, those that cannot be used with the
// reason. Without directories the default ones are searched. It launches each plugin
// once, in parallel.
func Plugins(ctx context.Context, dirs []string) ([]Plugin, error) {
	found, err := catalog.Find(dirsOrDefault(dirs))
	if err != nil {
		return nil, configError{err}
	}
	plugins := make([]Plugin, len(found))
	var wg sync.WaitGroup
	for i, f := range found {
		plugins[i] = Plugin{Type: f.Type, Path: f.Path}
		if f.Problem != nil {
			plugins[i].Problem = f.Problem.Error()
			continue
		}
		wg.Go(func() {
			p, err := describe(ctx, f.Type, f.Path, ownExecution, hclog.NewNullLogger())
			if err != nil {
				p = Plugin{Type: f.Type, Path: f.Path, Problem: err.Error()}
			}
			plugins[i] = p
		})
	}
	wg.Wait()
	return plugins, nil
}

// DescribePlugin finds the plugin of a type and asks it what it is.
func DescribePlugin(ctx context.Context, dirs []string, serviceType string) (Plugin, error) {
	p, err := lookup(ctx, dirsOrDefault(dirs), serviceType, ownExecution, hclog.NewNullLogger())
	if err != nil {
		return p, configError{err}
	}
	return p, nil
}

// LockPlugins pins the plugins of a directory: from then on only these run from there.
func LockPlugins(dir string) (file string, pinned []string, err error) {
	file, plugins, err := catalog.Pin(dir)
	if err != nil {
		return "", nil, configError{err}
	}
	for _, p := range plugins {
		pinned = append(pinned, p.Type)
	}
	return file, pinned, nil
}

func dirsOrDefault(dirs []string) []string {
	if len(dirs) > 0 {
		return dirs
	}
	return catalog.DefaultDirs()
}

func lookup(ctx context.Context, dirs []string, serviceType string, e execution, log hclog.Logger) (Plugin, error) {
	f, err := catalog.Lookup(dirs, serviceType)
	if err != nil {
		return Plugin{}, err
	}
	return describe(ctx, serviceType, f.Path, e, log)
}

// describe launches a plugin once, as the user of e, and asks it. Nothing of it is left
// afterwards.
func describe(ctx context.Context, serviceType, path string, e execution, log hclog.Logger) (Plugin, error) {
	if e.as != nil {
		if err := e.as.MayExecute(path); err != nil {
			return Plugin{}, err
		}
	}
	binary, err := descriptions.Open(path)
	if err != nil {
		return Plugin{}, err
	}
	defer binary.Close()
	if err := binary.Pinned(); err != nil {
		return Plugin{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, describeTimeout)
	defer cancel()
	d, err := descriptions.Describe(binary, func() (shared.Description, error) { return ask(ctx, binary, serviceType, e, log) })
	if err != nil {
		return Plugin{}, fmt.Errorf("describe plugin %s: %w", path, err)
	}
	if d.ServiceType != serviceType {
		return Plugin{}, fmt.Errorf("plugin %s describes itself as service type %q; name its file %s%s", path, d.ServiceType, shared.PluginPrefix, d.ServiceType)
	}
	return Plugin{Type: serviceType, Path: path, SHA256: binary.Sum.String(), Description: d}, nil
}

func ask(ctx context.Context, binary *catalog.Binary, serviceType string, e execution, log hclog.Logger) (shared.Description, error) {
	dir, err := scratch(e)
	if err != nil {
		return shared.Description{}, err
	}
	defer os.RemoveAll(dir)
	l, err := newLifeline() // so that no plugin outlives us
	if err != nil {
		return shared.Description{}, err
	}
	defer l.close()
	tap := newLogTap(&logbook{log: log}, event.Ref{Name: "describe-" + serviceType})
	as := e.launch()
	p, err := launch.Start(ctx, launch.Spec{Path: binary.Path, Binary: binary.File, Dir: dir, Env: e.env,
		Execution: launch.Execution{As: as.As, NoNewPrivs: as.NoNewPrivs}, Files: []launch.File{{Name: "lifeline", FD: l.child}},
		Stdout: func(r io.Reader) { tap.read("stdout", r) }, Stderr: func(r io.Reader) { tap.read("stderr", r) }})
	if err != nil {
		return shared.Description{}, err
	}
	d, err := p.Describe(ctx)
	if errors.Is(err, launch.ErrTimeout) {
		err = fmt.Errorf("%w: it has not said within %s what it is; Describe must not block: mend the plugin, or take its rows away", err, describeTimeout)
	}
	if err = errors.Join(err, p.Close()); err != nil {
		err = tap.explain(err)
	}
	return d, err
}

// scratch makes a directory for one plugin, in /tmp where $TMPDIR is too long for a
// socket's path or closed to the plugin's user.
func scratch(e execution) (string, error) {
	base := os.TempDir()
	if e.as != nil && e.as.MayEnter(base) != nil {
		base = "/tmp"
	}
	if len(base)+len("/antano-4294967295") > launch.MaxDir {
		base = "/tmp"
	}
	dir, err := os.MkdirTemp(base, "antano-")
	if err != nil {
		return "", fmt.Errorf("make a directory for a plugin; set TMPDIR to a writable one: %w", err)
	}
	if uid, gid := e.ids(); uid != os.Getuid() {
		if err := os.Lchown(dir, uid, gid); err != nil {
			return "", errors.Join(fmt.Errorf("make a directory for a plugin of user %d: %w", uid, err), os.Remove(dir))
		}
	}
	return dir, nil
}

// findPlugins finds and describes the plugins of all rows, each type once and as the
// user of the first row that names it, where what is wrong is reported.
func findPlugins(ctx context.Context, cfg Config, rows []params.Row, executions map[int64]execution) (map[string]Plugin, params.Errors) {
	first := make(map[string]params.Row)
	for _, r := range slices.Backward(rows) {
		first[r.ServiceType] = r
	}
	var mu sync.Mutex // guards what follows
	found := make(map[string]Plugin)
	var issues params.Errors
	var wg sync.WaitGroup
	for name, row := range first {
		wg.Go(func() {
			p, err := lookup(ctx, dirsOrDefault(cfg.PluginDirs), name, executions[row.ID], cfg.Logger)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				issues = append(issues, row.Issue("service_type", "%s", strings.ReplaceAll(err.Error(), "\n", "; ")))
				return
			}
			found[name] = p
		})
	}
	wg.Wait()
	return found, issues
}

// findInternal finds the plugin of the internal service: the one that serves unix
// rows, else the default directories have one even where others are named.
func findInternal(ctx context.Context, cfg Config, found map[string]Plugin) (Plugin, error) {
	const unix = "unix"
	if p, ok := found[unix]; ok {
		return p, nil
	}
	return lookup(ctx, slices.Concat(dirsOrDefault(cfg.PluginDirs), catalog.DefaultDirs()), unix, ownExecution, cfg.Logger)
}

// open opens the file that the plan was made for.
func (p Plugin) open() (*catalog.Binary, error) {
	b, err := descriptions.Open(p.Path)
	if err != nil {
		return nil, err
	}
	if b.Sum.String() != p.SHA256 {
		return nil, errors.Join(fmt.Errorf("plugin %s changed while the server started; start it again", p.Path), b.Close())
	}
	return b, nil
}
