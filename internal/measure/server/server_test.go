package server

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// script makes a program that stands for antano.
func script(t *testing.T, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "antano")
	if err := os.WriteFile(file, []byte("#!/bin/sh\n"+text), 0o700); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestRunFails(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	for text, want := range map[string]string{
		"echo starting; echo why >&2; exit 3": "exit status 3\nwhy",
		"kill -9 $$":                          "killed",
	} {
		_, err := Run(t.Context(), Config{Bin: script(t, text), Level: "error"})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", text, err)
		}
	}
	if _, err := Run(t.Context(), Config{Bin: "/nowhere", Level: "error"}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no binary: %v", err)
	}
	if left, _ := os.ReadDir(os.TempDir()); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}

func TestStartEndsWithItsContext(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	ctx, cancel := context.WithCancel(t.Context())
	began := filepath.Join(t.TempDir(), "began")
	s, err := Prepare(Config{Bin: script(t, "sleep 60 & trap \"kill $!; exit 0\" TERM; touch "+began+"; wait"), Level: "error"})
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		pollFile(began)
		cancel()
	}()
	if err := s.Start(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("the error is %v", err)
	}
	select {
	case <-s.Exited():
	default:
		t.Error("it runs on")
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

// pollFile waits until a file is there, or for Patience.
func pollFile(name string) {
	for deadline := time.Now().Add(Patience); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		if _, err := os.Stat(name); err == nil {
			return
		}
	}
}

func TestProc(t *testing.T) {
	pss, err := PSS(os.Getpid())
	if err != nil || pss < 1<<20 {
		t.Errorf("the memory of this test is %d, %v", pss, err)
	}
	for began := time.Now(); time.Since(began) < Patience; {
		used, err := CPU(os.Getpid())
		if err != nil {
			t.Fatal(err)
		}
		if used > 0 {
			return
		}
	}
	t.Error("this test uses no processor time")
}
