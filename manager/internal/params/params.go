package params

import (
	"fmt"
	"io"
	"os"
	"time"
)

// Params is a params file with every default filled in. Source: docs/params.md.
type Params struct {
	Servers        []Server // as listed; empty when the file lists none
	Types          []ServiceType
	Services       []Row // in the order of the file, of all servers
	Restart        Restart
	Health         Health
	Timeouts       Timeouts
	PushBack       time.Duration
	AdoptionWindow time.Duration
	LogDir         string // empty: the log goes to standard error
}

// Server is one row of `antano_server`.
type Server struct {
	ID   int
	Name string
}

// ServiceType is a service type that rows can name: the built-in ones, then the
// rows of `service_type`. ID is 0 for a row of `service_type` that has only a name.
type ServiceType struct {
	ID   int
	Name string
}

// Restart says how a process that ended is started again. Limit 0: it is never
// given up. Source: docs/architecture.md "Supervision".
type Restart struct {
	Delay, MaxDelay time.Duration
	Limit           int
	Window, Probe   time.Duration
}

// Health says how often a process is asked, how long it may take to answer and
// after how many misses it is replaced.
type Health struct {
	Interval, Timeout time.Duration
	Misses            int
}

// Timeouts bound the steps in the life of a process and one call of a handler.
type Timeouts struct {
	Start, Drain, Stop, Handler time.Duration
}

func defaults() *Params {
	return &Params{
		Restart: Restart{Delay: 100 * time.Millisecond, MaxDelay: 30 * time.Second,
			Limit: 5, Window: 30 * time.Second, Probe: 30 * time.Second},
		Health: Health{Interval: 5 * time.Second, Timeout: 2 * time.Second, Misses: 3},
		Timeouts: Timeouts{Start: 10 * time.Second, Drain: 30 * time.Second,
			Stop: 5 * time.Second, Handler: 30 * time.Second},
		PushBack:       time.Second,
		AdoptionWindow: 15 * time.Second,
	}
}

// Load reads and parses the file at path. An error that is not Errors means that
// the file could not be read.
func Load(path string) (*Params, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("cannot open the params file (check --params): %w", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, fmt.Errorf("cannot read the params file (check --params): %w", err)
	}
	return Parse(path, data)
}

// Parse decodes params. name stands for the file in errors; a name that ends in
// .json must hold JSON, any other may hold YAML or JSON. The error is Errors, with
// all mistakes. data is not kept.
//
// Rows of built-in types come back complete. Rows of third-party types wait for
// Resolve, since only their plugins know what they listen on.
func Parse(name string, data []byte) (*Params, error) {
	d := &decoder{file: name}
	root := d.document(data)
	if root == nil {
		return nil, d.err()
	}
	p := d.params(root)
	if err := d.err(); err != nil {
		return nil, err
	}
	return p, nil
}
