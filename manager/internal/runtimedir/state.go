package runtimedir

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

const (
	stateName    = "state.json"
	nextSuffix   = ".next" // of the file that is to replace it
	stateVersion = 1
	// maxState bounds the file: a few hundred bytes for each of at most 8192 processes,
	// and what was open when the manager was upgraded.
	maxState = 64 << 20
)

// State is what a successor of the manager has to know. It holds secrets: the file is
// for its user alone.
type State struct {
	Version   int            `json:"version"`
	Boot      string         `json:"boot"` // of the machine, which pids and start times belong to
	Server    int            `json:"server_id"`
	PID       int            `json:"pid"` // of the manager that wrote it
	StartTime uint64         `json:"start_time"`
	Services  []StateService `json:"services"`
	Plugins   []StatePlugin  `json:"plugins,omitempty"`
	// LastProcess is the highest process id that any service ever had.
	LastProcess int `json:"last_process_id"`
	// Sequences are, by process id, those from which on no client has one.
	Sequences map[int]uint64 `json:"sequences,omitempty"`
	// Upgrade is there while the manager executes another binary in its place.
	Upgrade *StateUpgrade `json:"upgrade,omitempty"`
}

// StateService is a service and its processes.
type StateService struct {
	ID        int64          `json:"id"`
	Type      string         `json:"type"`
	Name      string         `json:"name"`
	Address   string         `json:"address,omitempty"`
	Config    string         `json:"config"`            // tells what new processes are launched from
	IDs       []int          `json:"ids"`               // of all processes that it ever had, as their rows in the share page
	Retired   []int          `json:"retired,omitempty"` // those among them that were scaled away
	Stopped   []int          `json:"stopped,omitempty"` // and those that were stopped by command
	Last      map[int]int    `json:"last"`              // generation of each
	Processes []StateProcess `json:"processes"`
	// Metrics are the counters of its author's own in generations that have ended, of each.
	Metrics map[int]map[string]int64 `json:"metrics,omitempty"`
	// The row and the plugin, for a successor that has other ones.
	Params      json.RawMessage `json:"params"`
	Path        string          `json:"path"`
	SHA256      string          `json:"sha256"`
	Description json.RawMessage `json:"description"`
}

// StatePlugin is what is known of the file of a plugin.
type StatePlugin struct {
	Path        string          `json:"path"`
	Stamp       json.RawMessage `json:"stamp"` // tells the file from what may be there later
	SHA256      string          `json:"sha256"`
	Description json.RawMessage `json:"description"`
}

// StateProcess is one process that was launched.
type StateProcess struct {
	ID         int       `json:"process_id"`
	Generation int       `json:"generation"`
	PID        int       `json:"pid"`
	StartTime  uint64    `json:"start_time"`
	StartedAt  time.Time `json:"started_at"`
	Secret     []byte    `json:"secret"`
	Path       string    `json:"path"` // of the plugin
	SHA256     string    `json:"sha256"`
	Dir        string    `json:"dir"`
	Socket     string    `json:"socket"` // of the control plane
	Row        int       `json:"row"`    // in the share page
	Config     string    `json:"config"` // what it was launched from
	Ready      bool      `json:"ready"`  // and not draining: it can be adopted
	Draining   bool      `json:"draining,omitempty"`
	Beside     bool      `json:"beside,omitempty"` // ready to take the place of the one that is
	Restarts   int       `json:"restarts,omitempty"`
}

// StateUpgrade is what an executed binary inherits.
type StateUpgrade struct {
	Lock        int             `json:"lock"` // descriptors
	Relay       int             `json:"relay"`
	Control     int             `json:"control"`
	Descriptors []StateSocket   `json:"descriptors"`
	Open        json.RawMessage `json:"open,omitempty"` // messages that wait for a result
}

// StateSocket is a descriptor of a service: a listening socket or the share page.
type StateSocket struct {
	Service int64  `json:"service"`
	Name    string `json:"name"`
	FD      int    `json:"fd"`
}

// ErrNoState means that there is no predecessor to take over from.
var ErrNoState = errors.New("no state of an earlier manager")

// ReadState reads what the last manager of a runtime directory has left. A file that is
// missing, of another version of antano, or from before the last boot is ErrNoState; one
// that makes no sense is another error.
func ReadState(dir string) (State, error) {
	path := filepath.Join(dir, stateName)
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return State{}, ErrNoState
	}
	if err != nil {
		return State{}, fmt.Errorf("open state %s: %w", path, err)
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return State{}, fmt.Errorf("look at state %s: %w", path, err)
	}
	if !st.Mode().IsRegular() || owner(st) != os.Getuid() || st.Mode().Perm()&0o077 != 0 {
		return State{}, fmt.Errorf("state %s is not a file of ours alone", path)
	}
	b, err := io.ReadAll(io.LimitReader(f, maxState+1))
	if err != nil {
		return State{}, fmt.Errorf("read state %s: %w", path, err)
	}
	s, err := decodeState(b)
	if err != nil {
		return State{}, fmt.Errorf("state %s: %w", path, err)
	}
	if s.Boot != bootID() {
		return State{}, ErrNoState
	}
	return s, nil
}

func decodeState(b []byte) (State, error) {
	var s State
	if len(b) > maxState {
		return s, fmt.Errorf("has more than %d bytes", maxState)
	}
	var head struct{ Version int }
	if err := json.Unmarshal(b, &head); err != nil {
		return s, fmt.Errorf("decode: %w", err)
	}
	if head.Version != stateVersion {
		return s, fmt.Errorf("%w: it has version %d, this antano writes %d", ErrNoState, head.Version, stateVersion)
	}
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&s); err != nil {
		return State{}, fmt.Errorf("decode: %w", err)
	}
	return s, s.check()
}

// check refuses what no manager wrote.
func (s *State) check() error {
	if s.Server < 1 || s.Server > 255 || s.PID < 1 {
		return fmt.Errorf("server %d of manager %d cannot be", s.Server, s.PID)
	}
	type start struct{ id, generation int }
	seen := make(map[start]bool)
	for _, svc := range s.Services {
		if svc.ID < 0 || len(svc.IDs) > maxRows {
			return fmt.Errorf("service %d with %d processes cannot be", svc.ID, len(svc.IDs))
		}
		for _, id := range slices.Concat(svc.Retired, svc.Stopped) {
			if !slices.Contains(svc.IDs, id) {
				return fmt.Errorf("service %d does not have process %d", svc.ID, id)
			}
		}
		for _, p := range svc.Processes {
			key := start{p.ID, p.Generation}
			switch {
			case p.ID < 0 || p.ID > maxProcess || p.Generation < 1 || seen[key]:
				return fmt.Errorf("process %d in generation %d cannot be, or is there twice", p.ID, p.Generation)
			case p.PID < 2 || p.StartTime == 0:
				return fmt.Errorf("process %d: pid %d with start time %d cannot be", p.ID, p.PID, p.StartTime)
			case len(p.Secret) != secretSize:
				return fmt.Errorf("process %d: its secret has %d bytes", p.ID, len(p.Secret))
			case p.Row < 0 || p.Row >= maxRows:
				return fmt.Errorf("process %d: row %d cannot be", p.ID, p.Row)
			}
			seen[key] = true
		}
	}
	return nil
}

// Bounds of a State, as the relay protocol and the share page have them.
const (
	maxProcess = 8191
	secretSize = 32
	maxRows    = 2048
)

// bootID tells one boot of the machine from another, empty where the kernel does not.
var bootID = sync.OnceValue(func() string {
	b, _ := os.ReadFile("/proc/sys/kernel/random/boot_id")
	return string(bytes.TrimSpace(b))
})

// WriteState replaces what a successor will find, as a whole or not at all.
func (d *Dir) WriteState(s State) error {
	s.Version, s.Boot = stateVersion, bootID()
	b, err := json.Marshal(s)
	if err != nil {
		return fmt.Errorf("encode the state: %w", err)
	}
	path := filepath.Join(d.path, stateName)
	next := path + nextSuffix
	if err := os.WriteFile(next, b, 0o600); err != nil {
		return fmt.Errorf("write state %s: %w", next, err)
	}
	if err := os.Rename(next, path); err != nil {
		return fmt.Errorf("replace state %s: %w", path, err)
	}
	return nil
}

// RemoveState leaves nothing to a successor.
func (d *Dir) RemoveState() error {
	for _, name := range []string{stateName, stateName + nextSuffix} {
		if err := os.Remove(filepath.Join(d.path, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("remove the state: %w", err)
		}
	}
	return nil
}
