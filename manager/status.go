package manager

import (
	"time"

	"github.com/antano/antano/manager/internal/event"
	"github.com/antano/antano/manager/internal/listener"
)

// Status is a server as `antano status --json` shows it. Fields are only ever
// added. Source: docs/control.md.
type Status struct {
	ServerID int     `json:"server_id"`
	PID      int     `json:"pid"`
	Version  string  `json:"version"`
	State    string  `json:"state"` // starting, ready, draining
	UptimeS  float64 `json:"uptime_s"`
	// Goroutines are those of the manager: about as many whenever the same runs.
	Goroutines int             `json:"goroutines"`
	Services   []ServiceStatus `json:"services"`
}

// ServiceStatus is one service, the internal one (id 0) included.
type ServiceStatus struct {
	ID        int64           `json:"id"`
	Name      string          `json:"name"`
	Type      string          `json:"type"`
	Address   string          `json:"address"` // where clients connect; empty for a handler
	State     string          `json:"state"`   // ready, degraded, failed, stopped
	Processes []ProcessStatus `json:"processes"`
	Sockets   []SocketStatus  `json:"sockets"`
}

// SocketStatus is what waits in the kernel at the listening sockets of one name. What
// does not apply to them, or the kernel does not tell, is null.
type SocketStatus struct {
	Name               string `json:"name"`    // tcp, unix, slots
	Sockets            int    `json:"sockets"` // so many
	AcceptQueue        *int   `json:"accept_queue"`
	AcceptLimit        *int   `json:"accept_limit"`
	ReceiveQueueBytes  *int   `json:"receive_queue_bytes"`
	ReceiveBufferBytes *int   `json:"receive_buffer_bytes"`
	KernelDrops        *int   `json:"kernel_drops"`
}

// socketStatus shows queues; none for a service without sockets.
func socketStatus(queues []listener.Queue) []SocketStatus {
	all := make([]SocketStatus, len(queues))
	for i, q := range queues {
		all[i] = SocketStatus{Name: q.Name, Sockets: q.Sockets, AcceptQueue: known(q.AcceptQueue), AcceptLimit: known(q.AcceptLimit),
			ReceiveQueueBytes: known(q.ReceiveBytes), ReceiveBufferBytes: known(q.ReceiveLimit), KernelDrops: known(q.Drops)}
	}
	return all
}

func known(n int) *int {
	if n < 0 {
		return nil
	}
	return &n
}

// Ready counts the processes that are ready.
func (s ServiceStatus) Ready() (n int) {
	for _, p := range s.Processes {
		if p.State == event.Ready.String() {
			n++
		}
	}
	return n
}

// ProcessStatus is one process. Counters continue over restarts of the slot.
type ProcessStatus struct {
	ProcessID    int               `json:"process_id"`
	PID          int               `json:"pid"` // 0 while none runs
	State        string            `json:"state"`
	Generation   int               `json:"generation"`
	Restarts     int               `json:"restarts"` // unplanned ones
	UptimeS      float64           `json:"uptime_s"` // of this generation
	Clients      uint64            `json:"clients"`
	MessagesIn   uint64            `json:"messages_in"`
	MessagesOut  uint64            `json:"messages_out"`
	BytesIn      uint64            `json:"bytes_in"`
	BytesOut     uint64            `json:"bytes_out"`
	Drops        map[string]uint64 `json:"drops"` // by code, and "kernel"
	LastExit     *LastExit         `json:"last_exit"`
	QueuedBytes  int               `json:"queued_bytes"`   // in the manager, for the process
	LinkInBytes  int               `json:"link_in_bytes"`  // in the kernel, from the process
	LinkOutBytes int               `json:"link_out_bytes"` // in the kernel, for the process
	Groups       int               `json:"groups"`         // with a member there
	// Metrics are the plugin author's own, by name: counters go on over restarts.
	Metrics map[string]int64 `json:"metrics"`
	// Beside are generations beside the one that all this is about, during a
	// replacement. The counters are those of all.
	Beside []GenerationStatus `json:"beside,omitempty"`
}

// GenerationStatus is a generation that is to replace the current one of its process,
// or was replaced by it and drains.
type GenerationStatus struct {
	Generation int     `json:"generation"`
	PID        int     `json:"pid"`
	State      string  `json:"state"`
	UptimeS    float64 `json:"uptime_s"`
}

// LastExit is how the last generation that ended did so.
type LastExit struct {
	Code    *int      `json:"code"`   // null when a signal ended it or nobody knows
	Signal  *string   `json:"signal"` // null when it exited by itself
	Cause   string    `json:"cause"`
	UptimeS float64   `json:"uptime_s"`
	At      time.Time `json:"at"`
	Stderr  []string  `json:"stderr"` // its last lines
}

// ProcessExit is an exit and whose it was.
type ProcessExit struct {
	LastExit
	Generation int `json:"generation"`
	PID        int `json:"pid"` // 0 when it was never known
}

func lastExit(e *event.Exit) *LastExit {
	if e == nil {
		return nil
	}
	l := &LastExit{Cause: e.Cause, UptimeS: e.Uptime.Seconds(), At: e.At, Stderr: e.Stderr}
	if l.Stderr == nil {
		l.Stderr = []string{}
	}
	if e.Signal != "" {
		l.Signal = &e.Signal
	} else if e.Code >= 0 {
		l.Code = &e.Code
	}
	return l
}

// ClientStatus is one connected client.
type ClientStatus struct {
	ID          uint64    `json:"id"`
	ProcessID   int       `json:"process_id"`
	Address     string    `json:"address"`
	Connected   time.Time `json:"connected"`
	MessagesIn  uint64    `json:"messages_in"`
	MessagesOut uint64    `json:"messages_out"`
	QueuedBytes uint64    `json:"queued_bytes"`
	Groups      int       `json:"groups"`
}

// serviceState says how a service is from the states of its processes.
func serviceState(states []event.State) string {
	ready, stopped, failed := 0, 0, 0
	for _, s := range states {
		switch s {
		case event.Ready:
			ready++
		case event.Stopped:
			stopped++
		case event.Failed:
			failed++
		}
	}
	switch {
	case stopped == len(states):
		return "stopped"
	case ready == len(states):
		return "ready"
	case failed == len(states):
		return "failed"
	}
	return "degraded"
}
