package main

import (
	"context"
	"fmt"
	"syscall"
	"time"

	"github.com/antano/antano/chaos/internal/ledger"
	"github.com/antano/antano/internal/testserver"
	"github.com/antano/antano/manager"
)

// nothing lets time pass: what is wrong then is wrong with the harness.
func nothing(ctx context.Context, r *run) error {
	left := time.Until(r.until)
	r.pause(ctx, left, left)
	return nil
}

// victim picks a ready process of a service that may be disturbed.
func (r *run) victim() (service string, p manager.ProcessStatus, err error) {
	service = r.target()
	st, err := r.server.Status()
	if err != nil {
		return "", p, err
	}
	all := processesOf(st, service)
	p = all[r.random.IntN(len(all))]
	if p.State != "ready" {
		return "", p, fmt.Errorf("%s/%d is %s before the fault", service, p.ProcessID, p.State)
	}
	return service, p, nil
}

func processesOf(st manager.Status, service string) []manager.ProcessStatus {
	for _, s := range st.Services {
		if s.Name == service {
			return s.Processes
		}
	}
	return nil
}

func processOf(st manager.Status, service string, id int) (p manager.ProcessStatus) {
	for _, p := range processesOf(st, service) {
		if p.ProcessID == id {
			return p
		}
	}
	return p
}

func sigkill(ctx context.Context, r *run) error { return r.crash(ctx, syscall.SIGKILL) }

func sigsegv(ctx context.Context, r *run) error {
	return r.crash(ctx, []syscall.Signal{syscall.SIGSEGV, syscall.SIGBUS, syscall.SIGABRT}[r.random.IntN(3)])
}

// crash ends a process and waits for the next generation.
func (r *run) crash(ctx context.Context, sig syscall.Signal) error {
	service, p, err := r.victim()
	if err != nil {
		return err
	}
	began := time.Now()
	f := r.book.Happened(ledger.Fault{Cause: ledger.Crash, Service: service, Process: p.ProcessID, From: began})
	if err := syscall.Kill(p.PID, sig); err != nil {
		return err
	}
	return r.awaitNext(ctx, f, p, began)
}

// awaitNext waits until a process that is ending has been replaced.
func (r *run) awaitNext(ctx context.Context, f *ledger.Fault, p manager.ProcessStatus, began time.Time) error {
	err := r.await(ctx, fmt.Sprintf("%s/%d is replaced", f.Service, f.Process), func(st manager.Status) bool {
		now := processOf(st, f.Service, f.Process)
		return now.Generation > p.Generation && now.State == "ready"
	})
	r.book.Over(f, time.Now())
	r.replaced = append(r.replaced, time.Since(began))
	return err
}

// sigstop stops a process for a time that health does not notice.
func sigstop(ctx context.Context, r *run) error {
	_, p, err := r.victim()
	if err != nil {
		return err
	}
	if err := testserver.Freeze(p.PID); err != nil {
		return err
	}
	r.pause(ctx, 50*time.Millisecond, time.Second)
	return syscall.Kill(p.PID, syscall.SIGCONT)
}

// hang stops a process for good: health must find out, and end and replace it.
func hang(ctx context.Context, r *run) error {
	service, p, err := r.victim()
	if err != nil {
		return err
	}
	began := time.Now()
	f := r.book.Happened(ledger.Fault{Cause: ledger.Crash, Service: service, Process: p.ProcessID, From: began})
	if err := testserver.Freeze(p.PID); err != nil {
		return err
	}
	return r.awaitNext(ctx, f, p, began)
}

// crashLoop kills a process until its service gives it up, and waits for the probe
// that brings it back.
func crashLoop(ctx context.Context, r *run) error {
	service, p, err := r.victim()
	if err != nil {
		return err
	}
	f := r.book.Happened(ledger.Fault{Cause: ledger.Crash, Service: service, Process: p.ProcessID, From: time.Now()})
	err = r.await(ctx, fmt.Sprintf("%s/%d is failed", service, p.ProcessID), func(st manager.Status) bool {
		now := processOf(st, service, p.ProcessID)
		if now.PID > 0 && now.State != "failed" {
			_ = syscall.Kill(now.PID, syscall.SIGKILL)
		}
		return now.State == "failed"
	})
	if err != nil {
		return err
	}
	err = r.await(ctx, fmt.Sprintf("%s/%d is back", service, p.ProcessID), func(st manager.Status) bool {
		return processOf(st, service, p.ProcessID).State == "ready"
	})
	r.book.Over(f, time.Now())
	return err
}
