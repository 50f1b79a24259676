package runtimedir

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func someState() State {
	return State{
		Server: 3, PID: 100, StartTime: 7, Sequences: map[int]uint64{1: 1 << 32},
		LastProcess: 2, Services: []StateService{{ID: 2, Type: "tcp", Name: "chat", Address: "127.0.0.1:80", IDs: []int{1, 2}, Stopped: []int{1}, Retired: []int{2},
			Params: []byte(`{"id":2}`), Description: []byte(`{}`), Processes: []StateProcess{{
				ID: 1, Generation: 4, PID: 101, StartTime: 8, StartedAt: time.Unix(5, 0).UTC(), Secret: make([]byte, secretSize), Path: "/p", SHA256: "aa",
				Dir: "/run/p1", Socket: "/run/p1/plugin1", Row: 1, Ready: true, Restarts: 2,
			}}}},
		Plugins: []StatePlugin{{Path: "/p", SHA256: "aa", Stamp: []byte(`{"dev":1}`), Description: []byte(`{"name":"p"}`)}},
		Upgrade: &StateUpgrade{Lock: 5, Relay: 6, Control: 7, Descriptors: []StateSocket{{2, "tcp", 8}}, Open: []byte(`{"a":1}`)},
	}
}

// What a manager writes is what its successor reads; the last state counts.
func TestState(t *testing.T) {
	path := filepath.Join(shortDir(t), "run")
	d := mustOpen(t, path)
	if _, err := ReadState(path); !errors.Is(err, ErrNoState) {
		t.Errorf("without a state: %v", err)
	}
	want := someState()
	for range 2 {
		want.PID++
		if err := d.WriteState(want); err != nil {
			t.Fatal(err)
		}
	}
	got, err := ReadState(path)
	if err != nil {
		t.Fatal(err)
	}
	want.Version, want.Boot = stateVersion, bootID()
	if !reflect.DeepEqual(got, want) {
		t.Errorf("read %+v, want %+v", got, want)
	}
	if st, err := os.Stat(filepath.Join(path, stateName)); err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("state: %v, %v", st.Mode(), err)
	}
	if err := d.Close(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the directory is left: %v", err)
	}
}

// Rubbish is refused; what another version wrote, or another boot, is none of ours.
func TestStateIsRefused(t *testing.T) {
	none := func(err error) bool { return errors.Is(err, ErrNoState) }
	wrong := func(err error) bool { return err != nil && !errors.Is(err, ErrNoState) }
	good := func(change func(*State)) string {
		s := someState()
		change(&s)
		path := filepath.Join(shortDir(t), "run")
		if err := mustOpen(t, path).WriteState(s); err != nil {
			t.Fatal(err)
		}
		b, err := os.ReadFile(filepath.Join(path, stateName))
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	process := func(change func(*StateProcess)) string {
		return good(func(s *State) { change(&s.Services[0].Processes[0]) })
	}
	whole := good(func(*State) {})
	for name, c := range map[string]struct {
		text string
		is   func(error) bool
	}{
		"empty":           {"", wrong},
		"cut short":       {whole[:len(whole)-2], wrong},
		"an unknown key":  {strings.Replace(whole, `"pid"`, `"who":1,"pid"`, 1), wrong},
		"another version": {strings.Replace(whole, `"version":1`, `"version":2,"new":{}`, 1), none},
		"another boot":    {strings.Replace(whole, bootID(), "00000000", 1), none},
		"no server":       {good(func(s *State) { s.Server = 0 }), wrong},
		"pid 1":           {process(func(p *StateProcess) { p.PID = 1 }), wrong},
		"no start time":   {process(func(p *StateProcess) { p.StartTime = 0 }), wrong},
		"generation 0":    {process(func(p *StateProcess) { p.Generation = 0 }), wrong},
		"process 8192":    {process(func(p *StateProcess) { p.ID = 8192 }), wrong},
		"short secret":    {process(func(p *StateProcess) { p.Secret = p.Secret[1:] }), wrong},
		"row 2048":        {process(func(p *StateProcess) { p.Row = 2048 }), wrong},
		"stopped whom":    {good(func(s *State) { s.Services[0].Stopped = []int{3} }), wrong},
		"twice":           {good(func(s *State) { s.Services = append(s.Services, s.Services[0]) }), wrong},
	} {
		dir := shortDir(t)
		if err := os.WriteFile(filepath.Join(dir, stateName), []byte(c.text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := ReadState(dir); !c.is(err) {
			t.Errorf("%s: %v", name, err)
		}
	}
	dir := shortDir(t)
	if err := os.WriteFile(filepath.Join(dir, stateName), []byte(whole), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadState(dir); !wrong(err) {
		t.Errorf("readable by others: %v", err)
	}
}

// A successor keeps what it adopts, and clears the rest.
func TestLockAndClear(t *testing.T) {
	path := filepath.Join(shortDir(t), "run")
	d := mustOpen(t, path)
	for _, id := range []int{1, 2} {
		if _, err := d.MakeProcess(id, 0, os.Getuid(), os.Getgid()); err != nil {
			t.Fatal(err)
		}
	}
	d.lock.Close() // as SIGKILL does
	next, err := Lock(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { next.Close() })
	if err := next.Clear(map[string]bool{"p1": true}); err != nil {
		t.Fatal(err)
	}
	if entries, err := os.ReadDir(path); err != nil || len(entries) != 2 || entries[1].Name() != "p1" {
		t.Errorf("left: %v, %v", entries, err)
	}
}

// Who executes another binary in its place keeps the lock all the time.
func TestInherit(t *testing.T) {
	path := filepath.Join(shortDir(t), "run")
	d := mustOpen(t, path)
	fd, err := unix.Dup(d.LockFD())
	if err != nil {
		t.Fatal(err)
	}
	d.lock.Close()
	if _, err := Open(path); err == nil {
		t.Error("the lock was free in between")
	}
	other, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	if _, err := Inherit(path, int(other.Fd())); err == nil {
		t.Error("another descriptor was taken for the lock")
	}
	next, err := Inherit(path, fd)
	if err != nil {
		t.Fatal(err)
	}
	if err := next.Close(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the directory is left: %v", err)
	}
}

func FuzzState(f *testing.F) {
	f.Add([]byte(`{"version":1,"server_id":1,"pid":2,"services":[{"id":1,"processes":[{"process_id":1,"generation":1,"pid":5,"start_time":1,"secret":"AAAA"}]}]}`))
	f.Add([]byte(`{"version":2}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := decodeState(b)
		if err == nil && s.check() != nil {
			t.Errorf("%+v was let through", s)
		}
	})
}
