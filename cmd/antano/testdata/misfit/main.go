// Command misfit is the plugin that the end-to-end tests run under many names: the
// name it is started by says how it misbehaves. As `probe` it is well behaved and
// does in its handler what the message asks for.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/antano/antano/plugin"
	"github.com/antano/antano/plugin/socket"
	"github.com/antano/antano/shared"
)

func main() {
	m := &misfit{kind: strings.TrimPrefix(filepath.Base(os.Args[0]), shared.PluginPrefix)}
	switch m.kind {
	case "rubbish":
		fmt.Println("Welcome to the rubbish plugin!")
	case "cookie":
		os.Setenv(shared.CookieKey, "not the cookie")
	case "version":
		fmt.Println("1|99|unix|/nonexistent|grpc")
		select {}
	case "later":
		serveVersion2()
		return
	case "parting": // a later plugin that looks before it serves
		fmt.Fprintln(os.Stderr, "parting: this plugin speaks version 2 of the plugin protocol; use an antano that speaks 2")
		os.Exit(shared.ExitConfig)
	case "both":
		if offered("2") {
			serveVersion2()
			return
		}
	}
	if m.kind == "slowback" {
		plugin.Serve(slowback{socket.New(socket.Config{Description: shared.Description{
			Name: shared.PluginPrefix + m.kind, Version: "1.0.0", ServiceType: m.kind, Transport: shared.TransportUDP, CanSend: true,
		}})})
		return
	}
	if m.kind == "liar" {
		plugin.Serve(liar{m.kind})
		return
	}
	if m.kind == "slowmove" {
		plugin.Serve(slowmove{socket.New(socket.Config{Description: shared.Description{
			Name: shared.PluginPrefix + m.kind, Version: "1.0.0", ServiceType: m.kind, Transport: shared.TransportTCP, CanSend: true,
		}})})
		return
	}
	plugin.Serve(m)
}

// slowmove is a tcp service that never gets its clients together for a move.
type slowmove struct{ *socket.SocketService }

func (s slowmove) MoveOut(ctx context.Context, _ uint64, _ func(plugin.Client, []byte, int) error) error {
	<-ctx.Done()
	return ctx.Err()
}

func (s slowmove) MoveBack() {}

// slowback is a udp service whose first process never comes back after its first end.
type slowback struct{ *socket.SocketService }

func (s slowback) Start(ctx context.Context, host plugin.Host) error {
	if host.Identity().ProcessID == 1 && host.Identity().Generation > 1 {
		<-ctx.Done()
		return ctx.Err()
	}
	return s.SocketService.Start(ctx, host)
}

type misfit struct {
	kind string
	host plugin.Host
}

func (m *misfit) Describe() shared.Description {
	d := shared.Description{
		Name: shared.PluginPrefix + m.kind, Version: "1.0.0", ServiceType: m.kind, Transport: shared.TransportNone, Handler: true, Handover: m.kind == "probe",
		FormatsIn: []shared.FormatID{shared.FormatJSON}, FormatsOut: []shared.FormatID{shared.FormatJSON},
		Settings: json.RawMessage(`{"type": "object", "properties": {"file": {"type": "string"}}, "additionalProperties": false}`),
	}
	switch m.kind {
	case "crash":
		go func() { panic("no description today") }()
		select {}
	case "panicky":
		panic("no words")
	case "mute":
		select {}
	case "other":
		d.ServiceType = "someone-else"
	case "schema":
		d.Settings = json.RawMessage(`{"type": 5}`)
	}
	return d
}

// Start misbehaves in processes with an even id, so that a sibling stays.
func (m *misfit) Start(_ context.Context, host plugin.Host) error {
	m.host = host
	if m.kind == "fickle" {
		return m.obeyFile()
	}
	if host.Identity().ProcessID%2 == 1 {
		return nil
	}
	switch m.kind {
	case "never":
		select {}
	case "config":
		return plugin.ConfigError(errors.New("settings: the moon is not full"))
	case "flood":
		go flood()
	case "gossip":
		go m.gossip()
	case "endless":
		go func() {
			for {
				flood()
			}
		}()
	case "noisy":
		noise()
	case "nonsense":
		return speakNonsense()
	case "grandchild":
		return m.fork()
	case "levels":
		m.printLevels()
	case "exit":
		fmt.Fprintln(os.Stderr, "these are my last words")
		os.Exit(3)
	}
	return nil
}

func (m *misfit) Stop(context.Context) error { return nil }

// obeyFile does in every start what settings.file says at that moment.
func (m *misfit) obeyFile() error {
	var settings struct{ File string }
	if err := json.Unmarshal(m.host.Params().Settings, &settings); err != nil {
		return err
	}
	what, err := os.ReadFile(settings.File)
	if err != nil {
		return err
	}
	switch strings.TrimSpace(string(what)) {
	case "exit":
		fmt.Fprintln(os.Stderr, "these are my last words")
		os.Exit(3)
	case "config":
		return plugin.ConfigError(errors.New("settings: the moon is not full"))
	case "short":
		time.AfterFunc(300*time.Millisecond, func() {
			fmt.Fprintln(os.Stderr, "my life was short")
			os.Exit(4)
		})
	}
	return nil
}

// printLevels says something in each of the forms that are understood.
func (m *misfit) printLevels() {
	m.host.Logger().Warn("from the logger", "answer", 42)
	log := hclog.New(&hclog.LoggerOptions{Name: "misfit", Level: hclog.Trace, JSONFormat: true, Output: os.Stderr})
	log.Named("store").Error("from a real hclog", "key", 7)
	log.Named("store").Debug("from deep in hclog")
	for _, line := range []string{
		`{"@level": "error", "@message": "from hclog", "@timestamp": "2026-01-02T03:04:05Z", "key": "value"}`,
		`{"time": "2026-01-02T03:04:05Z", "level": "DEBUG", "msg": "from slog"}`,
		`time=2026-01-02T03:04:05Z level=WARN msg="from logfmt" key=value`,
		"[ERROR] from brackets",
		"from nobody in particular",
	} {
		fmt.Fprintln(os.Stderr, line)
	}
	fmt.Println("from stdout")
}

func flood() {
	line := []byte("[INFO] the same again\n")
	for range 50_000 {
		os.Stderr.Write(line)
	}
	fmt.Fprintln(os.Stderr, "[WARN] the flood is over")
}

func noise() {
	long := strings.Repeat("x", 1<<20)
	for _, f := range []*os.File{os.Stderr, os.Stdout} {
		fmt.Fprintln(f, `{"@message": 1}`)
		fmt.Fprintln(f, `{"@level": {}, "@message": null, "@timestamp": 7}`)
		fmt.Fprintln(f, long)
		fmt.Fprintln(f, "\x1b[31m\xff\xfe\x00")
	}
	fmt.Fprintln(os.Stderr, "[WARN] the noise is over")
}

// speakNonsense writes into the relay link that the SDK opened.
func speakNonsense() error {
	fd, err := relayLink()
	if err != nil {
		return err
	}
	_, err = syscall.Write(fd, []byte("\x00\x00\x00\x05nonsense and more of it"))
	return err
}

// fork leaves a child outside of the process group that holds both outputs, and its
// pid in settings.file.
func (m *misfit) fork() error {
	var settings struct{ File string }
	if err := json.Unmarshal(m.host.Params().Settings, &settings); err != nil {
		return err
	}
	c := exec.Command("sleep", "600")
	c.Stdout, c.Stderr = os.NewFile(1, "stdout"), os.NewFile(2, "stderr")
	c.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := c.Start(); err != nil {
		return err
	}
	return os.WriteFile(settings.File, fmt.Append(nil, c.Process.Pid), 0o600)
}

// order is what a message to a probe asks for.
type order struct {
	Do   string `json:"do"`
	Code string `json:"code"`
	MS   int    `json:"ms"`
	N    int    `json:"n"`
	To   shared.Address
}

// note writes into settings.file that a call was made, and takes its time.
func (m *misfit) note(ctx context.Context, from int64, o order) error {
	var settings struct{ File string }
	if err := json.Unmarshal(m.host.Params().Settings, &settings); err != nil {
		return err
	}
	f, err := os.OpenFile(settings.File, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err = fmt.Fprintln(f, from, o.N, m.host.Identity().ProcessID); err != nil {
		return err
	}
	select {
	case <-time.After(time.Duration(o.MS) * time.Millisecond):
	case <-ctx.Done():
	}
	return ctx.Err()
}

// until answers once settings.file is there.
func (m *misfit) until(ctx context.Context) (any, error) {
	var settings struct{ File string }
	if err := json.Unmarshal(m.host.Params().Settings, &settings); err != nil {
		return nil, err
	}
	for {
		if _, err := os.Stat(settings.File); err == nil {
			return m.host.Identity(), nil
		}
		select {
		case <-time.After(10 * time.Millisecond):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

func (m *misfit) OnReceivedMessage(ctx context.Context, msg *shared.Message) (any, error) {
	var o order
	if err := json.Unmarshal(msg.Value, &o); err != nil {
		return append([]byte(nil), msg.Value...), nil // what is no order comes back
	}
	switch o.Do {
	case "who":
		return m.host.Identity(), nil
	case "panic":
		panic("as ordered")
	case "fail":
		code, _ := shared.ParseCode(o.Code)
		return nil, shared.Errorf(code, "failed as ordered")
	case "forge":
		return nil, forge(o.To.ID)
	case "wait":
		select {
		case <-time.After(time.Duration(o.MS) * time.Millisecond):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	case "note":
		return nil, m.note(ctx, msg.From.ID, o)
	case "until":
		return m.until(ctx)
	case "pass":
		return m.host.PassThroughMessage(ctx, o.To, shared.AnyProcess, "passed on")
	}
	return append([]byte(nil), msg.Value...), nil
}
