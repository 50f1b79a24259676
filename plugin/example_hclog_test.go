package plugin_test

import (
	"context"
	"io"
	"log/slog"

	"github.com/hashicorp/go-hclog"

	"github.com/antano/antano/plugin"
	"github.com/antano/antano/shared"
)

// toHost has what an hclog logger says logged by the host, which never waits.
type toHost struct{ log *slog.Logger }

// Accept implements hclog.SinkAdapter.
func (t toHost) Accept(name string, level hclog.Level, message string, keys ...any) {
	levels := map[hclog.Level]slog.Level{hclog.Trace: slog.LevelDebug, hclog.Debug: slog.LevelDebug, hclog.Warn: slog.LevelWarn, hclog.Error: slog.LevelError}
	t.log.Log(context.Background(), levels[level], message, append([]any{"module", name}, keys...)...)
}

// archive uses a library that wants an hclog logger.
type archive struct{ log hclog.Logger }

func (*archive) Describe() shared.Description {
	return shared.Description{ServiceType: "archive", Handler: true}
}

func (a *archive) Start(_ context.Context, host plugin.Host) error {
	log := hclog.NewInterceptLogger(&hclog.LoggerOptions{Name: "archive", Output: io.Discard})
	log.RegisterSink(toHost{host.Logger()})
	a.log = log.Named("store")
	return nil
}

func (*archive) Stop(context.Context) error { return nil }

func (a *archive) OnReceivedMessage(_ context.Context, m *shared.Message) (any, error) {
	a.log.Warn("nothing is kept yet", "bytes", len(m.Value))
	return nil, nil
}

// An hclog logger for those who need one. One that prints JSON to standard error
// (LoggerOptions.JSONFormat) is understood too, but waits while nobody reads that.
func Example_hclog() {
	plugin.Serve(&archive{})
}
