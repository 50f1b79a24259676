package report

import (
	"bytes"
	"strings"
	"testing"
	"time"
)

func TestMedian(t *testing.T) {
	for want, values := range map[float64][]float64{2: {3, 1, 2}, 2.5: {4, 1, 3, 2}, 7: {7}} {
		if got := Median(values); got != want {
			t.Errorf("the median of %v is %v, want %v", values, got, want)
		}
	}
}

// TestDocument holds the form that docs/operating.md promises.
func TestDocument(t *testing.T) {
	d := Document{Version: "v1.0.0", Began: time.Date(2026, 1, 2, 15, 4, 5, 0, time.UTC), TookS: 61.5, Rounds: 3, DurationS: 1,
		Machine: Machine{CPUs: 2, OS: "linux", Arch: "amd64", Kernel: "6.1.0", Go: "go1.26"}}
	for _, v := range []float64{30, 10, 20} {
		d.Add("ping", "tcp, 64 x 1", "/s", v)
	}
	d.Skip("idle", "50000", "why")
	d.Skip("idle", "50000", "why")
	var out bytes.Buffer
	if err := d.JSON(&out); err != nil {
		t.Fatal(err)
	}
	const want = `{"version":"v1.0.0","began":"2026-01-02T15:04:05Z","took_s":61.5,"rounds":3,"duration_s":1,` +
		`"machine":{"cpus":2,"os":"linux","arch":"amd64","kernel":"6.1.0","go":"go1.26"},` +
		`"rows":[{"work":"ping","figure":"tcp,64x1","unit":"/s","values":[30,10,20],"median":20,"min":10,"max":30}],` +
		`"skipped":[{"work":"idle","size":"50000","why":"why"}]}`
	if got := strings.Join(strings.Fields(out.String()), ""); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	out.Reset()
	if err := d.Write(&out); err != nil {
		t.Fatal(err)
	}
	if text := out.String(); !strings.Contains(text, "ping  tcp, 64 x 1  20.00   10.00  30.00  3  /s") || strings.Contains(text, "RATIO") ||
		!strings.Contains(text, "idle 50000 was not measured: why") {
		t.Errorf("the table is\n%s", text)
	}
}

func TestCompare(t *testing.T) {
	var table Table
	for _, v := range []float64{10, 20, 30} {
		table.Add("w", "a", "/s", v)
		table.Add("w", "b", "/s", v*2)
	}
	table.Add("w", "c", "/s", 5)
	table.Compare("w", "a", "b")
	table.Compare("w", "c", "a")
	table.Compare("w", "absent", "a")
	if got := table.Rows[0].ratio(); got != "0.50 x b" {
		t.Errorf("round by round: %s", got)
	}
	if got := table.Rows[2].ratio(); got != "0.25 x a" {
		t.Errorf("by medians: %s", got)
	}
}
