package manager

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"time"

	"golang.org/x/sys/unix"

	"github.com/antano/antano/manager/internal/catalog"
	"github.com/antano/antano/manager/internal/runtimedir"
)

// recall learns from the state of an earlier manager what plugins there are, so that none
// that is the same is read or launched for its description while clients wait. What came over an upgrade is not inherited by what is launched.
func recall(dir string) {
	state, err := runtimedir.ReadState(dir)
	if err != nil {
		return // there is nothing, or succeed says why it is of no use
	}
	if ours(state) {
		_ = pass(state.Upgrade, unix.FD_CLOEXEC) // one that is not there is missed later
	}
	var known []catalog.Known
	for _, p := range state.Plugins {
		if k, ok := knownPlugin(p); ok {
			known = append(known, k)
		}
	}
	descriptions.Learn(known)
}

// knownPlugin understands what another version of antano may have written: a description
// that says more or less than ours would is none.
func knownPlugin(p runtimedir.StatePlugin) (k catalog.Known, ok bool) {
	k.Path = p.Path
	n, err := hex.Decode(k.Sum[:], []byte(p.SHA256))
	if len(p.SHA256) != hex.EncodedLen(len(k.Sum)) || err != nil || n != len(k.Sum) {
		return k, false
	}
	return k, exactly(p.Stamp, &k.Stamp) && exactly(p.Description, &k.Description)
}

// exactly decodes JSON into v and reports whether v is encoded in the same way.
func exactly(b json.RawMessage, v any) bool {
	if json.Unmarshal(b, v) != nil {
		return false
	}
	again, err := json.Marshal(v)
	return err == nil && bytes.Equal(again, b)
}

// settleFiles is how long after the start no plugin is too young to be told by its stamp.
const settleFiles = 3 * time.Second

// rememberLater makes sure that the state knows the plugins in use, which may have been
// written just before they were read.
func (s *Server) rememberLater(ctx context.Context) {
	timer := time.NewTimer(settleFiles)
	defer timer.Stop()
	select {
	case <-timer.C:
		s.remember()
		s.keeper.touch()
	case <-ctx.Done():
	}
}

// remember reads again what plugin files are not known by their stamps.
func (s *Server) remember() {
	for _, svc := range s.snapshot() {
		if b, err := descriptions.Open(svc.plan().Plugin.Path); err == nil {
			_ = b.Close()
		}
	}
}

// statePlugins is what recall learns.
func statePlugins() (all []runtimedir.StatePlugin) {
	for _, k := range descriptions.Known() {
		stamp, err := json.Marshal(k.Stamp)
		if err != nil {
			continue
		}
		if d, err := json.Marshal(k.Description); err == nil {
			all = append(all, runtimedir.StatePlugin{Path: k.Path, Stamp: stamp, SHA256: k.Sum.String(), Description: d})
		}
	}
	return all
}
