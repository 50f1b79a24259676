package manager

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/antano/antano/manager/internal/listener"
	"github.com/antano/antano/manager/internal/params"
	"github.com/antano/antano/manager/internal/runtimedir"
)

// Config says what to run.
type Config struct {
	Params        string // path of the params file; empty: the built-in development params
	PluginDirs    []string
	ServerID      int
	ServerIDGiven bool
	Address       string // replaces host in every row; empty: as params say
	RuntimeDir    string // empty: that of the server id
	Version       string
	Logger        hclog.Logger
	// OpenLog, if there is one, is asked for the Logger to use once the plan is known; nil
	// leaves Logger as it is. The error is that of Load.
	OpenLog func(*Plan) (hclog.Logger, error)
	// OnState is told when the server becomes ready, begins to reload, is ready again and
	// begins to drain: "ready", "reloading", "draining". It must not block.
	OnState func(state string)
	// OnReady is told once, when every process is ready or failed and every service
	// has a ready one.
	OnReady func(Status)
	// Dev is for who develops plugins: plugins that change on disk are rolled out by
	// themselves, processes can be attached, and none is ended because it hangs, as in a
	// debugger.
	Dev bool
}

// Load reads params, finds and describes the plugins and makes the plan. It starts
// nothing that stays. All mistakes are reported at once; errors that only a change
// of configuration mends wrap ErrConfig, those of the command line ErrUsage.
func Load(ctx context.Context, cfg Config) (_ *Server, err error) {
	given, err := listener.TakeGiven() // before anything is launched, which would inherit them
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			given.Close()
		}
	}()
	plan, err := loadPlan(ctx, cfg)
	if err != nil {
		return nil, err
	}
	if cfg.OpenLog != nil {
		log, err := cfg.OpenLog(plan)
		if err != nil {
			return nil, err
		}
		if log != nil {
			cfg.Logger = log
		}
	}
	s := &Server{cfg: cfg, given: given, plan: plan, started: time.Now(), released: make(chan struct{}), keeper: newKeeper(), events: newEvents(), logs: newLogs()}
	s.operations.tell = s.emitProgress
	for _, row := range plan.Services {
		s.lastProcessID = max(s.lastProcessID, slices.Max(row.ProcessIDs))
	}
	s.cfg.Logger, s.book = keepLog(cfg.Logger, s.logs)
	return s, nil
}

// loadPlan is the part of Load that can be done again.
func loadPlan(ctx context.Context, cfg Config) (*Plan, error) {
	if err := checkFlags(cfg); err != nil {
		return nil, usageError{err}
	}
	p, server, rows, err := readParams(cfg)
	if err != nil {
		return nil, err
	}
	dir, err := RuntimeDir(cfg.RuntimeDir, server.ID)
	if err != nil {
		return nil, err
	}
	if err := runtimedir.Check(dir); err != nil {
		return nil, usageError{err}
	}
	recall(dir)
	executions, unusable := resolveExecutions(rows, dir)
	plugins, issues := findPlugins(ctx, cfg, rows, executions)
	issues = append(issues, unusable...)
	if ctx.Err() != nil { // what the plugins did not say is not their fault
		return nil, fmt.Errorf("ask the plugins what they are: %w", ctx.Err())
	}
	plan, err := makePlan(p, server, rows, plugins, executions, dir)
	if len(issues) > 0 {
		var more params.Errors
		if errors.As(err, &more) {
			issues = append(issues, more...)
		}
		slices.SortStableFunc(issues, func(a, b params.Issue) int { return a.Line - b.Line })
		return nil, configError{issues}
	}
	if err != nil {
		return nil, err
	}
	plan.unix, err = findInternal(ctx, cfg, plugins)
	if err != nil {
		cfg.Logger.Warn("the internal service is not available, so send and listen are not", "err", err)
	}
	return plan, nil
}

// checkFlags looks at what does not depend on params.
func checkFlags(cfg Config) error {
	if cfg.ServerIDGiven && (cfg.ServerID < 1 || cfg.ServerID > 255) {
		return fmt.Errorf("server %d cannot be: ids are from 1 to 255; change --id", cfg.ServerID)
	}
	if err := params.CheckHost(cfg.Address); err != nil {
		return fmt.Errorf("--address %w", err)
	}
	return nil
}

// readParams reads the file, or the built-in params, and picks one server.
func readParams(cfg Config) (*params.Params, params.Server, []params.Row, error) {
	if cfg.Params == "" {
		id := 1
		if cfg.ServerIDGiven {
			id = cfg.ServerID
		}
		dir, err := RuntimeDir(cfg.RuntimeDir, id)
		if err != nil {
			return nil, params.Server{}, nil, err
		}
		p := params.Development(dir)
		for i := range p.Services {
			p.Services[i].AntanoServerID = id
		}
		return selectServer(p, cfg)
	}
	p, err := params.Load(cfg.Params)
	if err != nil {
		return nil, params.Server{}, nil, configError{err}
	}
	return selectServer(p, cfg)
}

func selectServer(p *params.Params, cfg Config) (*params.Params, params.Server, []params.Row, error) {
	if cfg.Dev {
		p.Health.Interval, p.Timeouts.Handler = 0, 0
	}
	server, rows, err := p.SelectServer(cfg.ServerID, cfg.ServerIDGiven)
	switch {
	case errors.Is(err, params.ErrAmbiguousServer):
		return nil, server, nil, usageError{err}
	case err != nil:
		return nil, server, nil, configError{err}
	}
	if cfg.Address != "" {
		for i := range rows {
			rows[i].Host = cfg.Address
		}
	}
	return p, server, rows, nil
}

// RuntimeDir is the runtime directory of a server: flag when given, else the default
// for its id. It need not exist.
func RuntimeDir(flag string, serverID int) (string, error) { return runtimedir.Choose(flag, serverID) }

// Plan is what the server runs.
func (s *Server) Plan() *Plan { return s.plan }

// CheckAddresses binds every address of the plan and lets go of it again. Addresses
// that a server in the same runtime directory holds by itself are not tried.
func (s *Server) CheckAddresses() error {
	own := map[string]bool{}
	if c, err := Connect(s.plan.RuntimeDir); err == nil {
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		defer cancel()
		if st, err := c.Status(ctx); err == nil {
			for _, svc := range st.Services {
				own[svc.Type+" "+svc.Address] = true // with the address resolved
			}
		}
	}
	var all []error
	for _, row := range s.plan.Services {
		if own[row.Params.ServiceType+" "+row.resolved()] {
			continue
		}
		if filepath.Dir(row.Params.Endpoint) == s.plan.RuntimeDir {
			continue // a directory that `run` makes, and empties, for itself
		}
		group, err := bind(row, nil)
		if err != nil {
			all = append(all, fmt.Errorf("service %s: %w", row.Params.Name, err))
			continue
		}
		if group != nil {
			group.Close()
		}
	}
	return errors.Join(all...)
}
