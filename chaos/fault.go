package main

import (
	"context"
	"slices"
	"time"
)

// fault is one kind of disturbance.
type fault struct {
	name string
	says string
	// params goes behind the params of every run.
	params string
	limits string // of the services that are disturbed
	// log is a file that standard error goes to, instead of where it is kept.
	log string
	// once says that do goes on for the whole time by itself; else it is repeated.
	once bool
	// alone says that it needs params of its own, and is no part of a mixture.
	alone bool
	// planned says that it must cost nobody anything.
	planned bool
	// takeover says that another manager takes over, which may take longer.
	takeover bool
	// manager says that what has no id may be lost with the manager.
	manager bool
	// crash says that processes end which nobody planned.
	crash   bool
	traffic traffic
	// do does it once, and returns when the server has recovered.
	do func(ctx context.Context, r *run) error
}

// traffic changes what clients do during a fault.
type traffic struct {
	ids float64 // part of the messages with an id; 0 is half, below 0 none
}

// options are the same for all faults of one program run.
type options struct {
	binDir   string
	duration time.Duration
	seed     uint64
	strict   bool   // bars on times fail the run
	logs     string // directory for logs, or empty
}

const smallQueues = "{client_queue_bytes: 65536, max_message_bytes: 65536}"

const quickRestart = "restart: {delay: 1ms, max_delay: 5ms, limit: 0}\n"

var faults = []fault{
	{name: "none", says: "nothing happens", planned: true, once: true, do: nothing},
	{name: "sigkill", says: "SIGKILL of a process", params: quickRestart, crash: true, do: sigkill},
	{name: "sigsegv", says: "SIGSEGV, SIGBUS or SIGABRT of a process", params: quickRestart, crash: true, do: sigsegv},
	{name: "sigstop", says: "SIGSTOP of a process, SIGCONT up to a second later", do: sigstop},
	{name: "hang", says: "SIGSTOP of a process that health ends", crash: true, alone: true, do: hang,
		params: quickRestart + "health: {interval: 200ms, timeout: 200ms, misses: 2}\n"},
	{name: "crashloop", says: "a process is killed until it is failed; a probe brings it back", crash: true, alone: true, do: crashLoop,
		params: "restart: {delay: 1ms, max_delay: 5ms, limit: 3, window: 30s, probe: 500ms}\n"},
	{name: "restart", says: "a service or one process is restarted", planned: true, do: restart},
	{name: "scale", says: "a service is scaled to 1, 8 and 2 processes", planned: true, do: scale},
	{name: "reload", says: "a service is changed in params, and changed back", planned: true, do: reload},
	{name: "badreload", says: "params that cannot be", planned: true, do: badReload},
	{name: "newplugin", says: "a plugin binary changes on disk", planned: true, do: newPlugin},
	{name: "badplugin", says: "a plugin binary on disk that cannot run", planned: true, do: badPlugin},
	{name: "fullqueue", says: "a client does not read while others write to it as fast as they can, without ids", do: fullQueue, alone: true,
		limits: smallQueues, traffic: traffic{ids: -1}},
	{name: "fullqueue-id", says: "the same, and every message has an id", do: fullQueue, alone: true, limits: smallQueues, traffic: traffic{ids: 1}},
	{name: "logfull", says: "no room for a line of the log while processes are killed", params: quickRestart, log: "/dev/full", crash: true, alone: true, do: sigkill},
	{name: "upgrade", says: "the antano binary changes on disk and the manager becomes it", planned: true, takeover: true, do: upgrade},
	{name: "managerkill", says: "SIGKILL of the manager, a successor up to half a second later", takeover: true, manager: true, do: managerKill},
	{name: "overrun", says: "more datagrams than a stopped process can take", do: overrun},
}

// mixture is what does all the others.
var mixture = fault{name: "mixed", says: "all of these that need no params of their own", params: quickRestart, crash: true, takeover: true, manager: true, do: mixed}

// all lists every fault in the order in which they run.
func all() []fault { return append(slices.Clone(faults), mixture) }
