package conformance

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/antano/antano/manager/conformance/internal/point"
	"github.com/antano/antano/manager/conformance/internal/rig"
	"github.com/antano/antano/manager/internal/catalog"
	"github.com/antano/antano/shared"
)

// Options say what to try, and how. Only Path is needed.
type Options struct {
	Path     string          // of the plugin's file
	Settings json.RawMessage // of the service; nil is {}, or those of Params
	Params   string          // path of a params file, whose first row of the plugin's type is served
	Message  json.RawMessage // that a handler is sent; nil is a string
	// Client is a command that speaks for a client: message objects in JSON, one a line,
	// on its stdin and stdout; ANTANO_ADDRESS and ANTANO_ENDPOINT say where the service is.
	// "none": the points that need clients are skipped.
	Client   string
	Points   []string      // ids of those to try, beside what they stand on; nil is all
	Timeout  time.Duration // of each point; 0 is 30 s
	Parallel int           // points at a time; 0 is twice the number of CPUs
	// OnVerdict is told of each point as it ends, one at a time; may be nil.
	OnVerdict func(Verdict)
}

// NoClient is the Client that skips what needs one.
const NoClient = "none"

const defaultTimeout = 30 * time.Second

// defaultMessage is what a handler is sent.
var defaultMessage = json.RawMessage(`"hello from antano plugin test"`)

// Run tries every point and returns what was seen. It blocks until then, leaves nothing
// behind, and is safe for concurrent use. The error, which wraps manager.ErrConfig or
// ErrUsage, says that nothing could be tried: there is no such plugin, its row of Params is wrong. When ctx
// ends, so do the points, and its error is returned.
func Run(ctx context.Context, o Options) (*Report, error) {
	for _, id := range o.Points {
		if !slices.Contains(order, id) {
			return nil, usageError{fmt.Errorf("there is no point %q; the points are %s", id, strings.Join(order, ", "))}
		}
	}
	path, err := filepath.Abs(o.Path)
	if err != nil {
		return nil, err
	}
	name, ok := strings.CutPrefix(filepath.Base(path), shared.PluginPrefix)
	if !ok {
		return nil, configError{fmt.Errorf("test plugin %s: its file has to be called %sTYPE; rename it", path, shared.PluginPrefix)}
	}
	found, err := catalog.Lookup([]string{filepath.Dir(path)}, name)
	if err != nil {
		return nil, configError{err}
	}
	binary, err := catalog.Open(found.Path)
	if err != nil {
		return nil, configError{err}
	}
	defer binary.Close()
	r := &run{o: o, report: &Report{Path: path, Type: name, SHA256: binary.Sum.String()}}
	r.kit = &point.Kit{
		Plugin: rig.Plugin{Path: path, Binary: binary.File}, Type: name, Message: o.Message, Timeout: o.Timeout,
	}
	if o.Client != NoClient {
		r.kit.Client = o.Client
	}
	if r.kit.Timeout <= 0 {
		r.kit.Timeout = defaultTimeout
	}
	r.kit.Plugin.Timeout = r.kit.Timeout
	if r.kit.Message == nil {
		r.kit.Message = defaultMessage
	}
	if err := r.all(ctx); err != nil {
		return nil, err
	}
	return r.report, ctx.Err()
}

// run is a Run under way.
type run struct {
	o   Options
	kit *point.Kit

	mu     sync.Mutex // guards the report
	report *Report
}

// all tries the gates in turn, up to the first that fails, and then the rest at once.
func (r *run) all(ctx context.Context) error {
	failed := ""
	for _, p := range point.Gates {
		if failed == "" && p.ID == "settings" {
			if err := r.row(); err != nil {
				return err
			}
		}
		if v := r.gate(ctx, p, failed); v.Verdict == Fail && !p.Alone() {
			failed = p.ID
		}
	}
	r.report.Description = &r.kit.Description
	if r.kit.Description.Name == "" {
		r.report.Description = nil
	}
	if failed != "" {
		for _, p := range r.wanted(append([]point.Point{point.Probe}, point.Points...)) {
			r.gate(ctx, p, failed)
		}
		return nil
	}
	r.probe(ctx)
	r.rest(ctx)
	return nil
}

// wanted are those of the points that are asked for.
func (r *run) wanted(points []point.Point) []point.Point {
	return slices.DeleteFunc(slices.Clone(points), func(p point.Point) bool { return r.o.Points != nil && !slices.Contains(r.o.Points, p.ID) })
}

// gate tries a point, unless one that it stands on has failed.
func (r *run) gate(ctx context.Context, p point.Point, failed string) Verdict {
	if failed != "" && ctx.Err() == nil {
		return r.add(verdict(p, point.Skip, "not tried, since "+failed+" failed", 0))
	}
	return r.try(ctx, p)
}

func (r *run) try(ctx context.Context, p point.Point) Verdict {
	began := time.Now()
	outcome, seen := r.kit.Try(ctx, p)
	return r.add(verdict(p, outcome, seen, time.Since(began)))
}

// probe finds out whether clients of the kit can be used.
func (r *run) probe(ctx context.Context) {
	if r.o.Client == NoClient {
		r.kit.Speaks = errors.New("no client is to be used")
		r.add(verdict(point.Probe, point.Skip, r.kit.Speaks.Error(), 0))
		return
	}
	switch v := r.try(ctx, point.Probe); v.Verdict {
	case Fail:
		r.kit.Speaks = fmt.Errorf("not tried, since %s failed", v.ID)
	case Skip:
		r.kit.Speaks = fmt.Errorf("no client of the kit can talk to it, see %s", v.ID)
	}
}

// rest tries the other points, a few at a time.
func (r *run) rest(ctx context.Context) {
	n := r.o.Parallel
	if n <= 0 {
		n = 2 * runtime.NumCPU()
	}
	slots := make(chan struct{}, n)
	var wg sync.WaitGroup
	for _, p := range r.wanted(point.Points) {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			r.try(ctx, p)
		})
	}
	wg.Wait()
}

func (r *run) add(v Verdict) Verdict {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.report.add(v)
	if r.o.OnVerdict != nil {
		r.o.OnVerdict(v)
	}
	return v
}
