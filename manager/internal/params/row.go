package params

import (
	"fmt"
	"runtime"

	"go.yaml.in/yaml/v3"

	"github.com/antano/antano/shared"
)

const defaultBacklog = 4096

// Row is one row of `active_service`, with every default filled in; the rows of
// third-party types after Resolve. Source: docs/params.md, the seed's get_service.
type Row struct {
	shared.ServiceParams
	Restart   Restart
	Execution Execution
	Line      int // of the row in the file

	file    string
	path    string         // active_service[<index>]
	lines   map[string]int // of the keys that were given
	framing shared.Framing // as given, for both directions
}

// Issue says that something is wrong with a key of the row, for whoever finds out
// later than Parse. key may be a path, as `settings.topic`, and empty for the row.
func (r Row) Issue(key, format string, args ...any) Issue {
	i := Issue{File: r.file, Line: r.Line, Key: r.path, Text: fmt.Sprintf(format, args...)}
	if key != "" {
		i.Key = r.path + "." + key
	}
	for key != "" {
		if line := r.lines[key]; line != 0 {
			i.Line = line
			break
		}
		key, _ = cutLast(key)
	}
	return i
}

func (d *decoder) reportRow(r *Row, key, format string, args ...any) {
	d.add(r.Issue(key, format, args...))
}

// services reads the rows and checks what holds between them.
func (d *decoder) services(file *section, p *Params) []Row {
	procs := 2
	file.setInt("num_of_process", &procs)
	items := file.list("active_service")
	if len(items) == 0 && file.mapping {
		file.report("active_service", "is missing or empty; list at least one service")
	}
	if len(items) > shared.MaxProcessID {
		file.report("active_service", "has %d rows, more than the %d processes that a server can have; remove some",
			len(items), shared.MaxProcessID)
		items = items[:shared.MaxProcessID]
	}
	rows := make([]Row, len(items))
	for i, n := range items {
		rows[i] = d.row(n, i, p, procs)
	}
	d.uniqueIDs(rows)
	d.nameRows(rows)
	d.countProcesses(rows)
	d.resolve(rows, nil)
	return rows
}

func (d *decoder) row(n *yaml.Node, i int, p *Params, procs int) Row {
	s := d.section(n, fmt.Sprintf("active_service[%d]", i))
	r := Row{Restart: p.Restart, Line: n.Line, file: d.file, path: s.path, lines: make(map[string]int)}
	for name, e := range s.given {
		r.lines[name] = e.line
	}
	if !s.mapping {
		return r
	}
	r.ServiceParams = shared.ServiceParams{AntanoServerID: 1, Backlog: defaultBacklog, Processes: procs,
		Mode: 0o600, SocketType: shared.SocketDgram, Limits: shared.DefaultLimits()}
	s.identity(&r, p)
	s.address(&r)
	s.formats(&r)
	s.transport(&r)
	s.setInt("processes", &r.Processes)
	if r.Processes == 0 {
		r.Processes = min(runtime.NumCPU(), maxProcs)
	}
	s.forwardTo(&r)
	s.limits(&r.Limits)
	s.settings(&r)
	r.Execution = s.execution()
	if in, ok := s.section("restart"); ok {
		r.Restart = in.restart(p.Restart)
	}
	return r
}

// identity reads what the service is: ids, type and name.
func (s *section) identity(r *Row, p *Params) {
	r.ID, _ = s.int("id")
	s.missing("id", "give the service an id of its own from 1 (0 is the internal service)")
	s.setInt("antano_server_id", &r.AntanoServerID)
	if len(p.Servers) > 0 && !listed(p.Servers, r.AntanoServerID) {
		s.report("antano_server_id", "is %d, which antano_server does not list; add the server or change the id", r.AntanoServerID)
	}
	if t, ok := s.serviceType(p.Types); ok {
		r.ServiceTypeID, r.ServiceType = t.ID, t.Name
	}
	r.Name, _ = s.name("name", maxName)
}

// address reads where the service listens. The seed's rows always have all three
// keys, so each is accepted for every type and used where it has a meaning.
func (s *section) address(r *Row) {
	if host, ok := s.text("host"); ok {
		if fault := hostFault(host); fault != "" {
			s.report("host", "%s", fault)
		} else {
			r.Host = host
		}
	}
	s.setInt("port", &r.Port)
	r.Endpoint, _ = s.text("endpoint")
}

// transport reads how the sockets are made.
func (s *section) transport(r *Row) {
	if v, ok := s.choice("framing", string(shared.FramingLine), string(shared.FramingLength32)); ok {
		r.framing = shared.Framing(v)
	}
	if v, ok := s.choice("socket_type", shared.SocketDgram, shared.SocketStream, shared.SocketSeqpacket); ok {
		r.SocketType = v
	}
	s.setInt("backlog", &r.Backlog)
	if mode, ok := s.permissions("mode", "0600"); ok {
		r.Mode = mode
	}
}

func (s *section) forwardTo(r *Row) {
	in, ok := s.section("forward_to")
	if !ok {
		return
	}
	entity, hasEntity := in.text("entity")
	id, hasID := in.int("entity_id")
	in.missing("entity", "forward_to needs an entity and an entity_id")
	in.missing("entity_id", "forward_to needs an entity and an entity_id")
	switch {
	case hasEntity && (entity == "" || len(entity) > shared.MaxEntityName):
		in.report("entity", "must be client, service or the name of a group, of 1 to %d bytes, not %s",
			shared.MaxEntityName, quote(entity))
	case !hasEntity || !hasID:
	case entity == shared.EntityClient && !shared.ClientID(id).Valid(), entity == shared.EntityService && id < 0:
		in.report("entity_id", "is %d, which is not the id of a %s; change it", id, entity)
	}
	r.ForwardTo = shared.Address{Entity: entity, ID: id}
}

func (s *section) limits(l *shared.Limits) {
	in, ok := s.section("limits")
	if !ok {
		return
	}
	in.setInt("max_message_bytes", &l.MaxMessageBytes)
	in.setInt("max_clients", &l.MaxClients)
	l.ClientQueueBytes = max(l.ClientQueueBytes, l.MaxMessageBytes)
	in.setInt("client_queue_bytes", &l.ClientQueueBytes)
	in.setInt("process_queue_bytes", &l.ProcessQueueBytes)
	in.setDuration("idle_timeout", &l.IdleTimeout)
	if l.ProcessQueueBytes < l.MaxMessageBytes {
		in.report("process_queue_bytes", "is %d, less than one message of max_message_bytes, %d; raise it or lower the other",
			l.ProcessQueueBytes, l.MaxMessageBytes)
	}
}

func (d *decoder) uniqueIDs(rows []Row) {
	lines := make(map[int64]int)
	for i := range rows {
		r := &rows[i]
		if r.ID == 0 {
			continue
		}
		if first, twice := lines[r.ID]; twice {
			d.reportRow(r, "id", "%d is already the service on line %d; choose another id", r.ID, first)
			continue
		}
		lines[r.ID] = r.Line
	}
}

// countProcesses holds each server to the process ids that it has.
func (d *decoder) countProcesses(rows []Row) {
	total := make(map[int]int)
	for i := range rows {
		r := &rows[i]
		before := total[r.AntanoServerID]
		total[r.AntanoServerID] += r.Processes
		if before <= shared.MaxProcessID && total[r.AntanoServerID] > shared.MaxProcessID {
			d.reportRow(r, "processes", "takes server %d over the %d processes that it can have; lower processes or num_of_process",
				r.AntanoServerID, shared.MaxProcessID)
		}
	}
}

func listed(servers []Server, id int) bool {
	for _, s := range servers {
		if s.ID == id {
			return true
		}
	}
	return false
}
