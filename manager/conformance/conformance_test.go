package conformance_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/antano/antano/manager"
	"github.com/antano/antano/manager/conformance"
)

// nothing is a plugin that cannot be started, so that a report with every point comes at once.
func nothing(t *testing.T) *conformance.Report {
	t.Helper()
	path := filepath.Join(t.TempDir(), "antano-service-nothing")
	if err := os.WriteFile(path, []byte("#!/bin/sh\nexit 1\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	report, err := conformance.Run(t.Context(), conformance.Options{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	return report
}

func document(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile("../../docs/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestSectionsExist looks for the heading that each point names.
func TestSectionsExist(t *testing.T) {
	anchors := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^#+ (.*)$`).FindAllStringSubmatch(document(t, "protocol.md"), -1) {
		name := strings.Map(func(r rune) rune {
			switch {
			case r == ' ':
				return '-'
			case r == '-', r >= 'a' && r <= 'z', r >= '0' && r <= '9':
				return r
			}
			return -1
		}, strings.ToLower(m[1]))
		anchors["docs/protocol.md#"+name] = true
	}
	for _, v := range nothing(t).Points {
		if !anchors[v.Section] {
			t.Errorf("point %s names %s, which does not exist", v.ID, v.Section)
		}
	}
}

// TestPointsAreDocumented compares the points with the table of docs/conformance.md.
func TestPointsAreDocumented(t *testing.T) {
	var want, got []string
	for _, v := range nothing(t).Points {
		want = append(want, fmt.Sprintf("| `%s` | %s | [%s]", v.ID, v.Title, strings.TrimPrefix(v.Section, "docs/protocol.md#")))
	}
	for line := range strings.Lines(document(t, "conformance.md")) {
		if strings.HasPrefix(line, "| `") && strings.Contains(line, "](protocol.md#") {
			row, _, _ := strings.Cut(line, "](protocol.md#")
			got = append(got, row+"]")
		}
	}
	for _, row := range want {
		if !slices.Contains(got, row) {
			t.Errorf("docs/conformance.md has no row %s", row)
		}
	}
	if len(got) != len(want) {
		t.Errorf("docs/conformance.md has %d points, the kit %d", len(got), len(want))
	}
}

// TestNothing fails what comes before everything else, and skips the rest.
func TestNothing(t *testing.T) {
	r := nothing(t)
	if r.Failed != 2 || r.Passed != 0 || r.Description != nil {
		t.Errorf("%d failed and %d passed: %+v", r.Failed, r.Passed, r)
	}
	if err := r.Err(); err == nil || manager.ExitCode(err) != 1 {
		t.Errorf("the outcome is %v", err)
	}
}

// TestNoPlugin is told before anything is tried.
func TestNoPlugin(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "antano-service-x")
	if err := os.WriteFile(file, []byte("#!/bin/sh\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for path, says := range map[string]string{
		filepath.Join(dir, "antano-service-none"): "is not in",
		file:                        "chmod +x",
		filepath.Join(dir, "other"): "antano-service-TYPE",
	} {
		if _, err := conformance.Run(t.Context(), conformance.Options{Path: path}); !errors.Is(err, manager.ErrConfig) || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v, want %q", path, err, says)
		}
	}
}
