package params

import (
	"fmt"

	"go.yaml.in/yaml/v3"

	"github.com/antano/antano/shared"
)

// params reads the whole file below root.
func (d *decoder) params(root *yaml.Node) *Params {
	s := d.section(root, "")
	p := defaults()
	p.Servers = d.servers(s)
	p.Types = d.serviceTypes(s)
	if in, ok := s.section("restart"); ok {
		p.Restart = in.restart(p.Restart)
	}
	if in, ok := s.section("health"); ok {
		in.setDuration("interval", &p.Health.Interval)
		in.setDuration("timeout", &p.Health.Timeout)
		in.setInt("misses", &p.Health.Misses)
	}
	if in, ok := s.section("timeouts"); ok {
		in.setDuration("start", &p.Timeouts.Start)
		in.setDuration("drain", &p.Timeouts.Drain)
		in.setDuration("stop", &p.Timeouts.Stop)
		in.setDuration("handler", &p.Timeouts.Handler)
	}
	s.setDuration("push_back", &p.PushBack)
	s.setDuration("adoption_window", &p.AdoptionWindow)
	p.LogDir, _ = s.absolute("log_dir")
	p.Services = d.services(s, p)
	return p
}

// restart reads the keys that are given over those of base.
func (s *section) restart(base Restart) Restart {
	r := base
	s.setDuration("delay", &r.Delay)
	s.setDuration("max_delay", &r.MaxDelay)
	s.setInt("limit", &r.Limit)
	s.setDuration("window", &r.Window)
	s.setDuration("probe", &r.Probe)
	if r.MaxDelay < r.Delay {
		switch {
		case s.has("max_delay"):
			s.report("max_delay", "is %v, less than the delay of %v; raise it", r.MaxDelay, r.Delay)
		case s.has("delay"):
			s.report("delay", "is %v, more than the max_delay of %v; lower it or raise max_delay", r.Delay, r.MaxDelay)
		}
	}
	return r
}

func (d *decoder) servers(file *section) []Server {
	var servers []Server
	ids, names := make(map[int]int), make(map[string]int)
	for i, n := range file.list("antano_server") {
		s := d.section(n, fmt.Sprintf("antano_server[%d]", i))
		id, ok := s.int("id")
		s.missing("id", "give the server an id from 1 to 255")
		if !ok {
			continue
		}
		srv := Server{ID: int(id), Name: fmt.Sprintf("antano-%d", id)}
		if name, ok := s.name("name", maxName); ok {
			srv.Name = name
		}
		if first, twice := ids[srv.ID]; twice {
			s.report("id", "%d is already the server on line %d; choose another id", id, first)
		} else if first, twice := names[srv.Name]; twice {
			s.report("name", "%s is already the server on line %d; choose another name", srv.Name, first)
		} else {
			ids[srv.ID], names[srv.Name] = s.line, s.line
		}
		servers = append(servers, srv)
	}
	return servers
}

// firstOwnID is where the ids of third-party service types begin.
const firstOwnID = 100

var builtinTypes = []ServiceType{
	{shared.TypeUDP, "udp"}, {shared.TypeTCP, "tcp"}, {shared.TypeUnix, "unix"},
	{shared.TypeWebSocket, "websocket"}, {shared.TypeREST, "rest"},
}

func (d *decoder) serviceTypes(file *section) []ServiceType {
	types := append([]ServiceType(nil), builtinTypes...)
	ids, names := make(map[int]bool), make(map[string]bool)
	for _, t := range types {
		names[t.Name] = true
	}
	for i, n := range file.list("service_type") {
		s := d.section(n, fmt.Sprintf("service_type[%d]", i))
		var t ServiceType
		s.setInt("id", &t.ID)
		name, ok := s.name("name", maxTypeName)
		s.missing("name", "name the type as its plugin, which is antano-service-<name>")
		if !ok {
			continue
		}
		t.Name = name
		if t.ID != 0 && ids[t.ID] {
			s.report("id", "%d is already another service type; choose another id from %d", t.ID, firstOwnID)
		}
		if name[0] >= '0' && name[0] <= '9' {
			s.report("name", "must begin with a letter and is %s; change it", name)
		}
		if names[name] {
			s.report("name", "%s is already a service type; remove the row or choose another name", name)
			continue
		}
		ids[t.ID], names[name] = true, true
		types = append(types, t)
	}
	return types
}
