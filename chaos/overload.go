package main

import (
	"context"
	"syscall"
	"time"

	"github.com/antano/antano/internal/testserver"
)

// fullQueue has a client stop reading while a client of each kind writes to it faster
// than it is read, and then read again.
func fullQueue(ctx context.Context, r *run) error {
	d := 300*time.Millisecond + time.Duration(r.random.Int64N(int64(700*time.Millisecond)))
	name := r.fleet.Sleep(r.random, d)
	r.fleet.Flood(ctx, r.random, []string{"tcp", "udp", "unix"}, name, 8<<10, d+200*time.Millisecond)
	return nil
}

// overrun stops a udp process while datagrams come that its sockets do not hold.
func overrun(ctx context.Context, r *run) error {
	st, err := r.server.Status()
	if err != nil {
		return err
	}
	all := processesOf(st, "udp")
	pid := all[r.random.IntN(len(all))].PID
	if err := testserver.Freeze(pid); err != nil {
		return err
	}
	r.fleet.Flood(ctx, r.random, []string{"udp", "udp", "udp"}, "", 16<<10, 200*time.Millisecond)
	return syscall.Kill(pid, syscall.SIGCONT)
}
