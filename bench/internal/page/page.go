// Package page writes docs/benchmarks.md of a run, with its plots and its JSON.
package page

import (
	"bytes"
	_ "embed"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/template"

	"github.com/antano/antano/bench/internal/plot"
	"github.com/antano/antano/bench/internal/result"
	"github.com/antano/antano/internal/measure/report"
)

// Folder of plots and JSON, beside the page.
const folder = "benchmarks"

//go:embed page.md.tmpl
var text string

// Write puts the page into a folder of documents. The plots and the JSON that are there
// of an earlier run go.
func Write(docs string, r *result.Run) error {
	dir := filepath.Join(docs, folder)
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for _, f := range figures(&r.Table) {
		var b bytes.Buffer
		if err := f.Chart.Write(&b); err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, f.File), b.Bytes(), 0o644); err != nil {
			return err
		}
	}
	if err := r.Save(filepath.Join(dir, "result.json")); err != nil {
		return err
	}
	md, err := Markdown(r)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(docs, "benchmarks.md"), md, 0o644)
}

// Markdown is the page.
func Markdown(r *result.Run) ([]byte, error) {
	t, err := template.New("page").Funcs(template.FuncMap{
		"number": plot.Number, "median": report.Median, "min": slices.Min[[]float64], "max": slices.Max[[]float64],
		"ratio": ratio,
	}).Parse(text)
	if err != nil {
		return nil, err
	}
	met := 0
	for _, b := range r.Bars {
		if b.Met() {
			met++
		}
	}
	var b bytes.Buffer
	err = t.Execute(&b, struct {
		*result.Run
		Met     int
		Figures []figure
		Folder  string
	}{r, met, figures(&r.Table), folder})
	return b.Bytes(), err
}

func ratio(r *report.Row) string {
	if len(r.Ratios) == 0 {
		return ""
	}
	return plot.Number(report.Median(r.Ratios)) + " × " + r.Against
}

// figure is one plot of the page.
type figure struct {
	File  string
	About string
	Chart plot.Chart
}

// figures are those plots for which there are rows.
func figures(t *report.Table) []figure {
	var all []figure
	for _, f := range []struct{ file, prefix, unit, title, about string }{
		{"relay.svg", "relay one way, 128 B", "messages/s", "Relay between processes, one way, 128 bytes", "More is better. `bare` is the relay one would write first in Go, `lean` copies bytes without looking at them, so that no relay that routes can be faster."},
		{"relay-sizes.svg", "relay one way", "messages/s", "Relay between processes, one way, by size", "More is better; with more than two processes, half of them send, each to another one."},
		{"relay-trip.svg", "relay round trip", "µs", "Relay between processes, there and back", "Less is better. `direct` is two processes on one socket with nothing between: what links that pass the manager by would leave of a round trip."},
		{"relay-cpu.svg", "relay one way, CPU", "µs/message", "Processor time of the process in the middle", "Less is better; it depends less on what else the machine does than rates do."},
		{"end-to-end.svg", "end to end", "messages/s", "From client to client in another process, JSON", "More is better."},
		{"end-to-end-time.svg", "end to end", "µs", "From client to client, one message at a time, p50", "Less is better; with receipts until the sender has its receipt too."},
		{"fan-out.svg", "fan-out", "deliveries/s", "One message to many clients", "More is better."},
		{"fan-out-cpu.svg", "fan-out", "µs/delivery", "Processor time of the server for a delivery", "Less is better. That of antano is of all its processes."},
		{"ping.svg", "ping", "/s", "Ping: connections × requests in flight on each", "More is better."},
		{"conversion.svg", "conversion", "messages/s", "From one format to another", "More is better."},
		{"codec.svg", "codec", "µs", "What a process does to a message", "Less is better. `encoding/json` is what one would use first, on the same bytes."},
		{"replacement.svg", "replacement", "ms", "A process is killed and replaced", "Less is better."},
	} {
		c := plot.Chart{Title: f.title, Unit: f.unit}
		for _, work := range t.Works(f.prefix) {
			if f.file == "relay.svg" && work != f.prefix {
				continue
			}
			if g := group(t, work, f.unit); len(g.Bars) > 0 {
				g.Label = strings.TrimPrefix(strings.TrimPrefix(work, f.prefix), ", ")
				c.Groups = append(c.Groups, g)
			}
		}
		if len(c.Groups) > 0 {
			all = append(all, figure{f.file, f.about, c})
		}
	}
	return all
}

func group(t *report.Table, work, unit string) plot.Group {
	var g plot.Group
	for _, r := range t.Rows {
		if r.Work == work && r.Unit == unit {
			g.Bars = append(g.Bars, plot.Bar{Name: r.Figure, Mid: report.Median(r.Values), Low: slices.Min(r.Values),
				High: slices.Max(r.Values), Ours: r.Figure == "antano" || strings.HasPrefix(r.Figure, "SIGKILL") || work == "conversion" || strings.Contains(r.Figure, "scanned")})
		}
	}
	return g
}
