package main

import (
	"path/filepath"
	"strings"

	"github.com/antano/antano/chaos/internal/load"
)

// services is what every run serves: all transports, a handler, and two services that
// no fault of a process hits.
const services = `
service_type: [{id: 101, name: echo}]
active_service:
  - {id: 1, service_type: udp, name: udp, host: 127.0.0.1, port: 0, processes: 2LIMITS}
  - {id: 2, service_type: tcp, name: tcp, host: 127.0.0.1, port: 0, processes: 2LIMITS}
  - {id: 3, service_type: unix, name: stream, socket_type: stream, endpoint: RUNTIME/s, processes: 2LIMITS}
  - {id: 4, service_type: unix, name: dgram, socket_type: dgram, endpoint: RUNTIME/d, processes: 2LIMITS}
  - {id: 5, service_type: unix, name: packet, socket_type: seqpacket, endpoint: RUNTIME/p, processes: 2LIMITS}
  - {id: 6, service_type: echo, name: echo, processes: 2}
  - {id: 7, service_type: tcp, name: calm-tcp, host: 127.0.0.1, port: 0, processes: 1}
  - {id: 8, service_type: unix, name: calm-unix, socket_type: stream, endpoint: RUNTIME/c, processes: 1}
`

const echoID = 6

// targets are the services whose processes are disturbed.
var targets = []string{"udp", "tcp", "stream", "dgram", "packet", "echo"}

var networks = map[string]string{
	"udp": "udp", "tcp": "tcp", "stream": "unix", "dgram": "unixgram", "packet": "unixpacket", "calm-tcp": "tcp", "calm-unix": "unix",
}

// file is the params file of a run.
func (f *fault) file() string {
	limits := ""
	if f.limits != "" {
		limits = ", limits: " + f.limits
	}
	return strings.ReplaceAll(services, "LIMITS", limits) + f.params
}

// fleetConfig is the clients of a run.
func (r *run) fleetConfig(l traffic) load.Config {
	at := func(name string) load.Service {
		return load.Service{Name: name, Network: networks[name], Address: r.addresses[name]}
	}
	cfg := load.Config{
		Each: 3, Handler: load.Service{Name: "echo"}, Rate: 30, IDs: l.ids, Pad: 100, Groups: 3, Seed: r.seed,
		Dir: filepath.Dir(r.server.RuntimeDir()), Book: r.book,
		Calm: [][2]load.Service{{at("calm-tcp"), at("calm-unix")}, {at("calm-unix"), at("calm-tcp")}},
	}
	for _, name := range targets {
		if networks[name] != "" {
			cfg.Services = append(cfg.Services, at(name))
		}
	}
	return cfg
}
