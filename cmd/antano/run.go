package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/spf13/cobra"

	"github.com/antano/antano/manager"
)

const logo = `
    _         _
   / \  _ __ | |_ __ _ _ __   ___
  / _ \| '_ \| __/ _' | '_ \ / _ \
 / ___ \ | | | || (_| | | | | (_) |
/_/   \_\_| |_|\__\__,_|_| |_|\___/

`

// paramsFlags are the flags of every command that reads params.
type paramsFlags struct {
	params     string
	pluginDirs []string
	id         int
	address    string
	runtimeDir string
}

func (f *paramsFlags) register(c *cobra.Command) {
	c.Flags().StringVar(&f.params, "params", "", "params file, YAML or JSON (default: built-in development params)")
	c.Flags().StringArrayVar(&f.pluginDirs, "plugin-dir", nil, "directory with antano-service-* plugins (repeatable; default: plugins/ beside this binary, then $ANTANO_PLUGIN_DIR)")
	c.Flags().IntVarP(&f.id, "id", "i", 0, "antano server id whose services to run; -1: the development params")
	c.Flags().StringVarP(&f.address, "address", "a", "", "replaces host in every row")
	c.Flags().StringVar(&f.runtimeDir, "runtime-dir", "", "directory for sockets and locks (default: /run/antano/ID, $XDG_RUNTIME_DIR/antano/ID or /tmp/antano-UID/ID)")
}

func (f *paramsFlags) config(c *cobra.Command) manager.Config {
	cfg := manager.Config{
		Params: f.params, PluginDirs: f.pluginDirs, ServerID: f.id, ServerIDGiven: c.Flags().Changed("id"),
		Address: f.address, RuntimeDir: f.runtimeDir, Version: version, Logger: hclog.NewNullLogger(),
	}
	if f.id == -1 {
		cfg.Params, cfg.ServerID, cfg.ServerIDGiven = "", 0, false
	}
	return cfg
}

func newRun() *cobra.Command {
	var f paramsFlags
	var log serverLog
	var sources builder
	var hideLogo, dev bool
	c := &cobra.Command{
		Use:   "run",
		Short: "Run the server in the foreground",
		Long: `Run the server in the foreground: one line per service on standard output, then a
line that is exactly "ready". SIGINT or SIGTERM drains and stops, a second one kills.

With --dev plugins that change on disk are rolled out by themselves, with --build also
built whenever their sources change; the log says how to attach a debugger to each
process, 'antano plugin attach' starts one under a debugger, and no process is ended
because it does not answer.`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := sources.check(dev); err != nil {
				return err
			}
			defer surviveReaders()()
			defer log.close()
			logger, stderr, err := log.begin(c.ErrOrStderr())
			if err != nil {
				return err
			}
			if !hideLogo {
				fmt.Fprint(stderr, logo)
			}
			cfg := f.config(c)
			cfg.Logger, cfg.OpenLog = logger, log.toFiles
			cfg.OnReady = func(s manager.Status) {
				if err := printReady(c.OutOrStdout(), s); err != nil {
					logger.Warn("nobody reads standard output", "err", err)
				}
			}
			cfg.Dev = dev
			if sources.command == "" {
				return run(c.Context(), cfg)
			}
			sources.out = stderr
			return develop(c.Context(), cfg, &sources)
		},
	}
	f.register(c)
	log.register(c)
	c.Flags().BoolVar(&dev, "dev", false, "for developing plugins: roll out what changes on disk, and let debuggers attach")
	sources.register(c)
	c.Flags().BoolVarP(&hideLogo, "hide-logo", "d", false, "do not print the logo")
	return c
}

// sameSignal is how soon after the first a signal still has the same cause: timeout
// and service managers signal a process and its group.
const sameSignal = 200 * time.Millisecond

// surviveReaders turns the SIGPIPE of a write to standard output or error that nobody
// reads any more, as behind `| head`, into an error of that write. It is not ignored,
// since plugins would inherit that.
func surviveReaders() (undo func()) {
	pipe := make(chan os.Signal, 1)
	signal.Notify(pipe, syscall.SIGPIPE)
	return func() { signal.Stop(pipe) }
}

// develop builds the plugins, and then runs the server and builds them again and again.
func develop(ctx context.Context, cfg manager.Config, sources *builder) error {
	if err := sources.build(ctx); err != nil {
		return fmt.Errorf("build the plugins with %q: %w", sources.command, err)
	}
	building, stop := context.WithCancel(ctx)
	var builds sync.WaitGroup
	builds.Go(func() { sources.run(building) })
	defer builds.Wait()
	defer stop()
	return run(ctx, cfg)
}

// run stops gently when ctx ends and kills on the next signal after that.
func run(ctx context.Context, cfg manager.Config) (err error) {
	again, hangup, upgrade := make(chan os.Signal, 2), make(chan os.Signal, 1), make(chan os.Signal, 1)
	signal.Notify(upgrade, syscall.SIGUSR2)
	defer signal.Stop(upgrade)
	signal.Notify(again, syscall.SIGINT, syscall.SIGTERM)
	signal.Notify(hangup, syscall.SIGHUP) // or a closed terminal would end us without a stop
	defer signal.Stop(again)
	defer signal.Stop(hangup)
	openLog := cfg.OpenLog
	cfg.OpenLog = func(plan *manager.Plan) (hclog.Logger, error) {
		log, err := openLog(plan)
		if log != nil {
			cfg.Logger = log
		}
		return log, err
	}
	systemd := newNotifier(cfg.Logger)
	cfg.OnState = systemd.onState
	server, err := manager.Load(ctx, cfg)
	if errors.Is(err, context.Canceled) {
		return nil // told to stop before there was anything to stop
	}
	if err != nil {
		return err
	}
	systemd.log = cfg.Logger
	systemd.run(server)
	defer func() { systemd.close(err) }()
	done := make(chan struct{})
	var listening sync.WaitGroup
	defer listening.Wait()
	defer close(done)
	listening.Go(func() {
		var first time.Time
		for first.IsZero() || time.Since(first) < sameSignal { // the first also ended ctx
			select {
			case <-again:
				if first.IsZero() {
					first = time.Now()
				}
			case <-hangup:
				if err := server.Reload(); err != nil {
					cfg.Logger.Error("SIGHUP", "err", err)
				}
			case <-upgrade:
				if err := server.Upgrade(); err != nil {
					cfg.Logger.Error("SIGUSR2", "err", err)
				}
			case <-done:
				return
			}
		}
		server.Kill()
	})
	return server.Run(ctx)
}

func printReady(w io.Writer, s manager.Status) error {
	var out bytes.Buffer
	for _, svc := range s.Services {
		address := svc.Address
		if address == "" {
			address = "no socket"
		}
		fmt.Fprintf(&out, "service %d %s: %s on %s, %d of %d processes ready\n",
			svc.ID, svc.Name, svc.Type, address, svc.Ready(), len(svc.Processes))
	}
	fmt.Fprintln(&out, "ready")
	_, err := w.Write(out.Bytes())
	return err
}

func newValidate() *cobra.Command {
	var f paramsFlags
	c := &cobra.Command{
		Use:   "validate",
		Short: "Check params and plugins and print the plan",
		Long:  "Check params, plugins, settings and addresses, and print the plan. Nothing that serves is started.",
		Args:  noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			server, err := manager.Load(c.Context(), f.config(c))
			if err != nil {
				return err
			}
			if err := server.CheckAddresses(); err != nil {
				return err
			}
			_, err = server.Plan().WriteTo(c.OutOrStdout())
			return err
		},
	}
	f.register(c)
	return c
}
