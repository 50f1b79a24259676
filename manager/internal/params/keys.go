package params

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/antano/antano/shared"
)

// Key describes one key of the params file: its row in docs/params.md. Path has
// `[]` where a list is.
type Key struct {
	Path    string
	Type    string // integer, duration, string, boolean, limit, list or mapping
	Default string // "required", "none", or what holds when the key is absent
	Range   string

	min, max int64 // of integers and of durations in nanoseconds
}

// Bounds that are ours and not those of shared.
const (
	maxID       = 1<<53 - 1 // ids stay exact in JavaScript
	maxProcs    = 1024      // rows of the share page
	maxDuration = 365 * 24 * time.Hour
	maxName     = 128
	maxTypeName = 64 // so that a default name, with its id, stays a name
)

// Keys returns every key that a params file may have, in the order of the
// reference.
func Keys() []Key { return append([]Key(nil), keys...) }

var keys = buildKeys()

// specs finds a key by its path.
var specs = func() map[string]Key {
	m := make(map[string]Key, len(keys))
	for _, k := range keys {
		m[k.Path] = k
	}
	return m
}()

// children lists the names of the keys of the mapping at path, by path.
var children = func() map[string][]string {
	m := make(map[string][]string)
	for _, k := range keys {
		parent, name := cutLast(k.Path)
		m[parent] = append(m[parent], name)
	}
	return m
}()

func buildKeys() []Key {
	all := []Key{
		list("antano_server", "none", "distinct ids and names"),
		integer("antano_server[].id", "required", 1, 255),
		text("antano_server[].name", "antano- and the id", "a name"),
		integer("num_of_process", "2", 0, maxProcs),
		list("active_service", "required", "1 to 8191 rows"),
	}
	all = append(all, rowKeys()...)
	all = append(all, restartKeys("restart", nil)...)
	return append(all, globalKeys()...)
}

func rowKeys() []Key {
	const row = "active_service[]."
	l := shared.DefaultLimits()
	all := []Key{
		integer(row+"id", "required", 1, maxID),
		integer(row+"antano_server_id", "1", 1, 255),
		integer(row+"service_type_id", "required, or service_type", 1, math.MaxUint16),
		text(row+"service_type", "required, or service_type_id", "udp, tcp, unix, websocket, rest or a name from service_type"),
		text(row+"host", "0.0.0.0", "an IP address or a host name"),
		integer(row+"port", "required for udp, tcp, websocket and rest", 0, math.MaxUint16),
		text(row+"endpoint", "required for unix", "a path of at most 107 bytes"),
		integer(row+"message_format_in_id", "1", 1, 4),
		text(row+"message_format_in", "json", "json, msgpack, text or binary"),
		integer(row+"message_format_out_id", "1", 1, 4),
		text(row+"message_format_out", "json", "json, msgpack, text or binary"),
		text(row+"name", "the service type, with -id where that is taken", "a name"),
		integer(row+"processes", "num_of_process", 0, maxProcs),
		text(row+"framing", "line for json and text, length32 for msgpack and binary", "line or length32"),
		text(row+"mode", "0600", "0000 to 0777, octal, quoted"),
		text(row+"socket_type", "dgram", "dgram, stream or seqpacket"),
		integer(row+"backlog", strconv.Itoa(defaultBacklog), 1, math.MaxUint16),
		mapping(row+"forward_to", "none"),
		text(row+"forward_to.entity", "required", "1 to 255 bytes"),
		integer(row+"forward_to.entity_id", "required", math.MinInt64, math.MaxInt64),
		mapping(row+"limits", "as below"),
		integer(row+"limits.max_message_bytes", strconv.Itoa(l.MaxMessageBytes), 1, shared.MaxMessageBytes),
		integer(row+"limits.max_clients", strconv.Itoa(l.MaxClients), 1, math.MaxUint32),
		integer(row+"limits.client_queue_bytes", strconv.Itoa(l.ClientQueueBytes), 1, 1<<30),
		integer(row+"limits.process_queue_bytes", strconv.Itoa(l.ProcessQueueBytes), 1, 1<<36),
		duration(row+"limits.idle_timeout", "0s", 0, maxDuration),
		mapping(row+"settings", "none"),
	}
	all = append(all, executionKeys(row)...)
	global := func(name string) string { return "restart." + name }
	return append(all, restartKeys(row+"restart", global)...)
}

// restartKeys are the keys of a `restart`, with the defaults that byDefault names
// or, without it, those that are built in.
func restartKeys(path string, byDefault func(name string) string) []Key {
	r := defaults().Restart
	whole := "as below"
	if byDefault != nil {
		whole = "restart"
	} else {
		own := map[string]string{"delay": r.Delay.String(), "max_delay": r.MaxDelay.String(),
			"limit": strconv.Itoa(r.Limit), "window": r.Window.String(), "probe": r.Probe.String()}
		byDefault = func(name string) string { return own[name] }
	}
	return []Key{
		mapping(path, whole),
		duration(path+".delay", byDefault("delay"), 1, maxDuration),
		duration(path+".max_delay", byDefault("max_delay"), 1, maxDuration),
		integer(path+".limit", byDefault("limit"), 0, 1_000_000),
		duration(path+".window", byDefault("window"), 1, maxDuration),
		duration(path+".probe", byDefault("probe"), 1, maxDuration),
	}
}

func globalKeys() []Key {
	p := defaults()
	return []Key{
		mapping("health", "as below"),
		duration("health.interval", p.Health.Interval.String(), 1, maxDuration),
		duration("health.timeout", p.Health.Timeout.String(), 1, maxDuration),
		integer("health.misses", strconv.Itoa(p.Health.Misses), 1, 1000),
		mapping("timeouts", "as below"),
		duration("timeouts.start", p.Timeouts.Start.String(), 1, maxDuration),
		duration("timeouts.drain", p.Timeouts.Drain.String(), 1, maxDuration),
		duration("timeouts.stop", p.Timeouts.Stop.String(), 1, maxDuration),
		duration("timeouts.handler", p.Timeouts.Handler.String(), 1, maxDuration),
		duration("push_back", p.PushBack.String(), 0, 4*time.Second),
		duration("adoption_window", p.AdoptionWindow.String(), 0, maxDuration),
		text("log_dir", "none", "an absolute path"),
		list("service_type", "none", "distinct ids and names"),
		integer("service_type[].id", "none", 100, math.MaxUint16),
		text("service_type[].name", "required", "a name"),
	}
}

func integer(path, byDefault string, min, max int64) Key {
	return Key{path, "integer", byDefault, fmt.Sprintf("%d to %d", min, max), min, max}
}

func duration(path, byDefault string, min, max time.Duration) Key {
	from := "0s to "
	if min > 0 {
		from = "above 0s, to "
	}
	return Key{path, "duration", byDefault, from + short(max), int64(min), int64(max)}
}

func text(path, byDefault, in string) Key {
	return Key{Path: path, Type: "string", Default: byDefault, Range: in}
}

func list(path, byDefault, in string) Key {
	return Key{Path: path, Type: "list", Default: byDefault, Range: in}
}

func mapping(path, byDefault string) Key { return Key{Path: path, Type: "mapping", Default: byDefault} }

// short writes whole hours and minutes as people do: 8760h, not 8760h0m0s.
func short(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}
