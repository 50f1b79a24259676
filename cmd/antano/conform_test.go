package main_test

import (
	"context"
	"encoding/json"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/antano/antano/internal/testserver"
	"github.com/antano/antano/manager/conformance"
)

// TestOwnPluginsConform tries our own plugins, which may skip only what they are not.
func TestOwnPluginsConform(t *testing.T) {
	for name, lacks := range map[string][]string{
		"tcp": {"handler false"}, "unix": {"handler false"}, "udp": {"handler false", "datagrams"}, "echo": {"no sockets"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			report := conform(t, 0, testserver.PluginPath(binDir, name))
			for _, v := range report.Points {
				reason := slices.ContainsFunc(lacks, func(l string) bool { return strings.Contains(v.Seen, l) })
				if v.Verdict == conformance.Fail || v.Verdict == conformance.Skip && !reason {
					t.Errorf("%s: %s: %s", v.ID, v.Verdict, v.Seen)
				}
			}
		})
	}
}

// conformPatience is for one point on a machine that does many things.
const conformPatience = time.Minute

// conform runs the kit and wants an exit code.
func conform(t *testing.T, want int, args ...string) (r conformance.Report) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*conformPatience)
	defer cancel()
	out, errs, code, err := testserver.Antano(ctx, filepath.Join(binDir, "antano"), "",
		append([]string{"plugin", "test", "--json", "--timeout", conformPatience.String()}, args...)...)
	if err != nil {
		t.Fatal(err)
	}
	if code != want {
		t.Errorf("plugin test %s: exit %d, want %d\n%s", args, code, want, errs)
	}
	if err := json.Unmarshal([]byte(out), &r); err != nil {
		t.Fatalf("plugin test %s printed %q: %v\n%s", args, out, err, errs)
	}
	if r.Passed+r.Failed+r.Skipped != len(r.Points) {
		t.Errorf("%d passed, %d failed, %d skipped of %d", r.Passed, r.Failed, r.Skipped, len(r.Points))
	}
	return r
}
