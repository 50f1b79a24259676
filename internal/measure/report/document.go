package report

import (
	"encoding/json"
	"io"
	"os"
	"runtime"
	"strings"
	"time"
)

// Document is what `antano bench --json` prints. Source: docs/operating.md.
type Document struct {
	Version   string    `json:"version"` // of the antano that was measured
	Began     time.Time `json:"began"`
	TookS     float64   `json:"took_s"`
	Rounds    int       `json:"rounds"`
	DurationS float64   `json:"duration_s"` // of each measurement
	Machine   Machine   `json:"machine"`
	Table
}

// Machine says in general terms what was measured on.
type Machine struct {
	CPUs   int    `json:"cpus"`
	OS     string `json:"os"`
	Arch   string `json:"arch"`
	Kernel string `json:"kernel"`
	Go     string `json:"go"`
}

// ThisMachine is the one that this program runs on.
func ThisMachine() Machine {
	kernel, _ := os.ReadFile("/proc/sys/kernel/osrelease")
	return Machine{CPUs: runtime.NumCPU(), OS: runtime.GOOS, Arch: runtime.GOARCH, Kernel: strings.TrimSpace(string(kernel)), Go: runtime.Version()}
}

// JSON writes the document for programs.
func (d *Document) JSON(w io.Writer) error {
	if d.Rows == nil {
		d.Rows = []*Row{}
	}
	if d.Skipped == nil {
		d.Skipped = []Skipped{}
	}
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(d)
}
