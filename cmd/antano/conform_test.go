package main_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
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
	t.Parallel()
	for name, lacks := range map[string][]string{
		"tcp": {"handler false"}, "unix": {"handler false"}, "udp": {"handler false", "datagrams"}, "echo": {"no sockets"},
		"websocket": {"handler false", "handover false", "client of the kit's own"},
		"rest":      {"handler false", "handover false", "protocol of their own", "see client"},
	} {
		t.Run(name, func(t *testing.T) {
			var client []string
			if name == "websocket" {
				client = []string{"--client", "exec " + filepath.Join(binDir, "lines")}
			}
			report := conform(t, 0, testserver.PluginPath(binDir, name), client...)
			for _, v := range report.Points {
				reason := slices.ContainsFunc(lacks, func(l string) bool { return strings.Contains(v.Seen, l) })
				if v.Verdict == conformance.Fail || v.Verdict == conformance.Skip && !reason {
					t.Errorf("%s: %s: %s", v.ID, v.Verdict, v.Seen)
				}
			}
		})
	}
}

// TestClientCommand lets a command speak for the clients of a plugin, or nobody.
func TestClientCommand(t *testing.T) {
	t.Parallel()
	tcp := testserver.PluginPath(binDir, "tcp")
	if _, err := exec.LookPath("socat"); err != nil {
		t.Skip("the command needs socat; .ci/run installs it")
	}
	r := conform(t, 0, tcp, "--client", "exec socat - TCP:$ANTANO_ADDRESS", "--point", "send", "--point", "deliver", "--point", "slow-client")
	if r.Failed != 0 || r.Skipped != 1 || r.Passed < 9 {
		t.Errorf("with a command %d failed and %d were skipped: %+v", r.Failed, r.Skipped, r.Points)
	}
	r = conform(t, 0, tcp, "--client", "none", "--point", "send", "--point", "health")
	if r.Failed != 0 || r.Skipped != 2 {
		t.Errorf("without clients %d failed and %d were skipped: %+v", r.Failed, r.Skipped, r.Points)
	}
}

// TestConformanceUsage tells what is wrong with the flags, and with what they name.
func TestConformanceUsage(t *testing.T) {
	t.Parallel()
	echo := testserver.PluginPath(binDir, "echo")
	file := filepath.Join(t.TempDir(), "params.yaml")
	if err := os.WriteFile(file, []byte("active_service: [{id: 4, service_type: echo, settings: {prefix: 5}}]\nservice_type: [{name: echo}]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		code int
		says string
		args []string
	}{
		{2, "exactly one argument", nil},
		{2, "not JSON", []string{echo, "--settings", "{"}},
		{2, "no such file", []string{echo, "--message", "@/no/such/file"}},
		{2, "no point", []string{echo, "--point", "everything"}},
		{2, "not above 0", []string{echo, "--timeout", "0s"}},
		{78, "is not in", []string{filepath.Join(binDir, "antano-service-nothing")}},
		{78, "cannot open the params file", []string{echo, "--params", "/no/such/file"}},
		{78, "no row of service type tcp", []string{testserver.PluginPath(binDir, "tcp"), "--params", file}},
		{78, "settings", []string{echo, "--settings", `{"prefix":5}`}},
		{78, "settings", []string{echo, "--params", file}},
	} {
		if _, errs, code := antano(t, "", append([]string{"plugin", "test"}, c.args...)...); code != c.code || !strings.Contains(errs, c.says) {
			t.Errorf("%s: exit %d, %q; want %d, %q", c.args, code, errs, c.code, c.says)
		}
	}
}

// conformPatience is for one point on a machine that does many things.
const conformPatience = time.Minute

// conform runs the kit and wants an exit code.
func conform(t *testing.T, want int, path string, more ...string) (r conformance.Report) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*conformPatience)
	defer cancel()
	out, errs, code, err := testserver.Antano(ctx, filepath.Join(binDir, "antano"), "",
		append([]string{"plugin", "test", path, "--json", "--timeout", conformPatience.String()}, more...)...)
	if err != nil {
		t.Fatal(err)
	}
	if code != want {
		t.Errorf("plugin test %s: exit %d, want %d\n%s", path, code, want, errs)
	}
	if err := json.Unmarshal([]byte(out), &r); err != nil {
		t.Fatalf("plugin test %s printed %q: %v\n%s", path, out, err, errs)
	}
	if r.Passed+r.Failed+r.Skipped != len(r.Points) {
		t.Errorf("%d passed, %d failed, %d skipped of %d", r.Passed, r.Failed, r.Skipped, len(r.Points))
	}
	return r
}

// bending is the ways in which testdata/bent bends a plugin so that one point fails.
type bending struct {
	point string
	ways  []string
}

// These points stand before all others.
var bentGates = []bending{
	{"cookie", []string{"cookie-zero", "cookie-silent"}},
	{"handshake", []string{"noise", "other-version", "other-network", "no-handshake"}},
	{"describe", []string{"fickle", "nameless", "other-type"}},
	{"settings", []string{"bad-schema"}},
	{"hello", []string{"other-generation", "other-secret"}},
	{"start", []string{"hasty", "talks-first"}},
}

var bentPoints = []bending{
	{"no-common-version", []string{"any-version", "first-version"}},
	{"control-plane", []string{"not-serving", "small-requests"}},
	{"shutdown", []string{"stays"}},
	{"unknown-params", []string{"lenient"}},
	{"health", []string{"short-numbers", "sick-at-first"}},
	{"health-recovery", []string{"sick-for-good"}},
	{"slots", []string{"other-slots"}},
	{"bad-frames", []string{"tolerant"}},
	{"later-versions", []string{"dated"}},
	{"unknown-result", []string{"touchy"}},
	{"hold", []string{"restless"}},
	{"ack", []string{"never-acks"}},
	{"not-a-client", []string{"optimistic"}},
	{"handler", []string{"boasts"}},
	{"drain", []string{"drains-early", "drains-late"}},
	{"stop", []string{"wrong-exit"}},
	{"sigterm", []string{"interruptible"}},
	{"link-closed", []string{"clings"}},
	{"lifeline", []string{"immortal"}},
	{"orphan", []string{"mortal"}},
	{"rejoin", []string{"forgets-ranges"}},
	{"output", []string{"prints"}},
	{"restart", []string{"shuts-down"}},
	{"client-ids", []string{"makes-up-ids"}},
	{"sequences", []string{"modest"}},
	{"share-page", []string{"counts-alone"}},
	{"clients", []string{"lists-nobody"}},
	{"too-large", []string{"generous"}},
	{"send", []string{"no-stream", "other-sender", "tidies-values"}},
	{"receipts", []string{"hides-failures"}},
	{"silence", []string{"wishful"}},
	{"order-out", []string{"overtakes-out"}},
	{"window", []string{"greedy"}},
	{"pause", []string{"unstoppable"}},
	{"deliver", []string{"forgets-replies"}},
	{"groups", []string{"repeats", "miscounts", "stays-subscribed"}},
	{"convert", []string{"misreads"}},
	{"order-in", []string{"overtakes-in"}},
	{"slow-client", []string{"never-pauses"}},
	{"bad-message", []string{"forwards"}},
	{"handover", []string{"abandons"}},
}

// oneByOne has each bend tried by itself against all points, which takes minutes of
// CPU.
const oneByOne = "ANTANO_CONFORMANCE_ONE_BY_ONE"

// TestBentPluginsFail bends what each point is about: that point fails, with something to
// say, and no other. Without oneByOne every second point is bent at a time, so that it
// is seen that those between them pass, and further ways to bend a point are tried against
// that one alone.
func TestBentPluginsFail(t *testing.T) {
	t.Parallel()
	each := os.Getenv(oneByOne) != ""
	for _, b := range bentGates {
		for _, way := range b.ways {
			t.Run(way, func(t *testing.T) { failsOnly(t, "tcp", []string{b.point}, way) })
		}
	}
	t.Run("wrong-reply", func(t *testing.T) { failsOnly(t, "echo", []string{"handler"}, "wrong-reply") })
	t.Run("answers-twice", func(t *testing.T) { failsOnly(t, "echo", []string{"handler-load"}, "answers-twice") })
	var points, ways [2][]string
	for i, b := range bentPoints {
		points[i%2] = append(points[i%2], b.point)
		ways[i%2] = append(ways[i%2], b.ways[0])
		for n, way := range b.ways {
			switch {
			case each:
				t.Run(way, func(t *testing.T) { failsOnly(t, "tcp", []string{b.point}, way) })
			case n > 0:
				t.Run(way, func(t *testing.T) {
					t.Parallel()
					fails(t, b.point, way)
				})
			}
		}
	}
	for half := range points {
		t.Run(fmt.Sprint("half ", half+1), func(t *testing.T) { failsOnly(t, "tcp", points[half], ways[half]...) })
	}
}

// TestNothingBent passes everything on, so that it is not the standing between that
// fails, and looks for points that nothing breaks.
func TestNothingBent(t *testing.T) {
	t.Parallel()
	broken := map[string]bool{"handler-load": true, "client": true} // the probe fails with whatever clients need
	for _, b := range slices.Concat(bentGates, bentPoints) {
		broken[b.point] = true
	}
	for _, v := range conform(t, 0, bend(t, "tcp")).Points {
		if v.Verdict == conformance.Skip && v.ID != "handler-load" && v.ID != "handover" {
			t.Errorf("%s is skipped: %s", v.ID, v.Seen)
		}
		if !broken[v.ID] {
			t.Errorf("no bent plugin breaks %s", v.ID)
		}
	}
}

// bentPatience is for points that fail when their time is up.
const bentPatience = 30 * time.Second

func failsOnly(t *testing.T, plugin string, points []string, ways ...string) {
	t.Helper()
	code := 1
	if points[0] == "describe" || points[0] == "settings" {
		code = 78
	}
	for _, v := range conform(t, code, bend(t, plugin, ways...), "--timeout", bentPatience.String(), "--parallel", "16").Points {
		if failed := v.Verdict == conformance.Fail; failed != slices.Contains(points, v.ID) {
			t.Errorf("%s: %s: %s", v.ID, v.Verdict, v.Seen)
		}
		if v.Seen == "" {
			t.Errorf("%s: %s without a word", v.ID, v.Verdict)
		}
	}
}

// fails has one point tried against tcp, bent in one way.
func fails(t *testing.T, point, way string) {
	t.Helper()
	for _, v := range conform(t, 1, bend(t, "tcp", way), "--timeout", bentPatience.String(), "--point", point).Points {
		if failed := v.Verdict == conformance.Fail; failed != (v.ID == point) {
			t.Errorf("%s: %s: %s", v.ID, v.Verdict, v.Seen)
		}
	}
}

// bend makes a bent plugin, and says where.
func bend(t *testing.T, plugin string, ways ...string) string {
	t.Helper()
	dir := t.TempDir()
	path := filepath.Join(dir, "antano-service-"+plugin)
	err := errors.Join(os.Symlink(testserver.PluginPath(binDir, plugin), filepath.Join(dir, "real")),
		os.Symlink(filepath.Join(binDir, "bent"), path), os.WriteFile(filepath.Join(dir, "bends"), []byte(strings.Join(ways, "\n")), 0o600))
	if err != nil {
		t.Fatal(err)
	}
	return path
}
