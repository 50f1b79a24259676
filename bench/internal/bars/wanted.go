package bars

import "github.com/antano/antano/internal/measure/report"

// Names of works and figures, as the benchmarks give them.
const (
	oneWay = "relay one way, 128 B"
	trip   = "relay round trip, 128 B, p50"
	tail   = "relay round trip, 128 B, p99"
	ours   = "antano"
)

// against compares ours with another figure of the same work.
func against(work, other string) func(*report.Table) (float64, bool) {
	return ratio(cell{work, ours}, cell{work, other})
}

func least(what string, want float64, read func(*report.Table) (float64, bool)) bar {
	return bar{what, false, want, "×", read}
}

func most(what string, want float64, unit string, read func(*report.Table) (float64, bool)) bar {
	return bar{what, true, want, unit, read}
}

var wanted = []bar{
	least("relay one way to the bare relay", 0.9, against(oneWay, "bare")),
	least("relay one way to NATS", 2.5, against(oneWay, "NATS")),
	least("relay one way to Redis on TCP", 2.5, against(oneWay, "Redis, TCP")),
	least("relay one way to Redis on a Unix socket", 2.5, against(oneWay, "Redis, Unix")),
	most("relay round trip p50 to the bare relay", 1.1, "×", against(trip, "bare")),
	most("relay round trip p50 to NATS", 0.5, "×", against(trip, "NATS")),
	most("relay round trip p50 to Redis on a Unix socket", 1, "×", against(trip, "Redis, Unix")),
	most("relay round trip p99 to its p50", 3, "×", ratio(cell{tail, ours}, cell{trip, ours})),
	least("TCP client to TCP client, pipelined, to NATS", 0.6, against("end to end, TCP to TCP", "NATS")),
	least("TCP client to TCP client, pipelined, to mosquitto", 3, against("end to end, TCP to TCP", "mosquitto")),
	least("fan-out to 1000, to NATS", 1, against("fan-out to 1000", "NATS")),
	most("codec of a whole message of 128 bytes", 1, "µs", value("codec, 128 B", "scanned and rebuilt", 1)),
	least("TCP ping, 64 × 1, to plain Go", 0.85, against("ping on tcp, 64 × 1", "plain Go echo")),
	least("TCP ping, 64 × 16, to plain Go", 0.4, against("ping on tcp, 64 × 16", "plain Go echo")),
	least("TCP ping, 64 × 1, to Tornado", 2.5, against("ping on tcp, 64 × 1", "Tornado")),
	least("TCP ping, 64 × 16, to Tornado", 2.5, against("ping on tcp, 64 × 16", "Tornado")),
	least("UDP ping, 64 × 1, to plain Go", 0.8, against("ping on udp, 64 × 1", "plain Go echo")),
	least("UDP ping, 64 × 16, to plain Go", 1, against("ping on udp, 64 × 16", "plain Go echo")),
	least("ratio to plain Go, TCP × 1, at 1000 connections to that at 64", 0.85,
		over(against("ping on tcp, 1000 × 1", "plain Go echo"), against("ping on tcp, 64 × 1", "plain Go echo"))),
	most("PSS growth for each of 10 000 idle connections", 6, "KiB", value("idle", "10000 connections, processes", 1.0/1024)),
	most("PSS growth for each of 50 000 idle connections", 6, "KiB", value("idle", "50000 connections, processes", 1.0/1024)),
	most("PSS growth of a process for each of 1 M groups with a member", 300, "bytes", value("groups", "1000000 groups, processes", 1)),
	most("PSS growth of the manager for each of 1 M groups with a member", 300, "bytes", value("groups", "1000000 groups, manager", 1)),
	most("CPU of the manager for a message, 1 M groups at random to 1000", 2, "×",
		ratio(cell{"groups", "1000000 groups, manager time"}, cell{"groups", "1000 groups, manager time"})),
	most("PSS of an idle manager", 24, "MB", value("memory", "manager", 1)),
	most("PSS of an idle process, one of two", 9, "MB", value("memory", "each of 2 processes", 1)),
	most("CPU of an idle server", 0.1, "% of a core", value("memory", "processor when idle, whole server", 1)),
	most("start to ready with 10 processes", 200, "ms", value("start", "10 processes", 1)),
	most("SIGKILL to serving, to a bare go-plugin start with two calls", 1.5, "×",
		ratio(cell{"replacement", "SIGKILL to pong"}, cell{"replacement", "bare go-plugin start"})),
}
