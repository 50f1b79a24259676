package params

import (
	"fmt"
	"strings"
)

// SelectServer returns the server that runs and its rows. Without an id given that
// is the only server listed, else server 1; ErrAmbiguousServer when several are
// listed. Any other error means that the file does not have the server asked for.
// The rows are copies, but share Settings with p.
func (p *Params) SelectServer(id int, given bool) (Server, []Row, error) {
	srv, err := p.server(id, given)
	if err != nil {
		return Server{}, nil, err
	}
	var rows []Row
	for _, r := range p.Services {
		if r.AntanoServerID == srv.ID {
			rows = append(rows, r)
		}
	}
	if len(rows) == 0 {
		return Server{}, nil, fmt.Errorf("server %d has no services: no row of active_service has antano_server_id %d; add one or choose another --id",
			srv.ID, srv.ID)
	}
	return srv, rows, nil
}

func (p *Params) server(id int, given bool) (Server, error) {
	if !given && len(p.Servers) > 1 {
		return Server{}, fmt.Errorf("%w; choose one with --id: %s", ErrAmbiguousServer, p.serverList())
	}
	if !given && len(p.Servers) == 1 {
		return p.Servers[0], nil
	}
	if !given {
		id = 1
	}
	if id < 1 || id > 255 {
		return Server{}, fmt.Errorf("server %d cannot be: ids are from 1 to 255; change --id", id)
	}
	if len(p.Servers) == 0 {
		return Server{ID: id, Name: fmt.Sprintf("antano-%d", id)}, nil
	}
	for _, s := range p.Servers {
		if s.ID == id {
			return s, nil
		}
	}
	return Server{}, fmt.Errorf("server %d is not listed in antano_server; use one of %s with --id", id, p.serverList())
}

func (p *Params) serverList() string {
	var names []string
	for _, s := range p.Servers {
		names = append(names, fmt.Sprintf("%d (%s)", s.ID, s.Name))
	}
	return strings.Join(names, ", ")
}
