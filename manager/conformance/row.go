package conformance

import (
	"encoding/json"
	"fmt"
	"slices"

	"github.com/antano/antano/manager/internal/params"
	"github.com/antano/antano/shared"
)

// row decides what the service is told: the defaults of its type, or a row of a params
// file.
func (r *run) row() error {
	rows, err := r.rows()
	if err != nil {
		return configError{err}
	}
	i := slices.IndexFunc(rows, func(row params.Row) bool { return row.ServiceType == r.kit.Type })
	if i < 0 {
		return configError{fmt.Errorf("params file %s has no row of service type %s; add one", r.o.Params, r.kit.Type)}
	}
	if err := params.Resolve(rows[i:i+1], map[string]shared.Transport{r.kit.Type: r.kit.Description.Transport}); err != nil {
		return configError{err}
	}
	row := rows[i].ServiceParams
	row.AntanoServerID, row.Processes = 1, 1
	if row.ForwardTo != (shared.Address{}) && r.o.Params == "" {
		row.ForwardTo = shared.Address{}
	}
	if r.o.Settings != nil {
		row.Settings = r.o.Settings
	}
	r.kit.Params = row
	return nil
}

func (r *run) rows() ([]params.Row, error) {
	if r.o.Params != "" {
		p, err := params.Load(r.o.Params)
		if err != nil {
			return nil, err
		}
		return p.Services, nil
	}
	text, err := json.Marshal(r.document())
	if err != nil {
		return nil, err
	}
	p, err := params.Parse("the default params", text)
	if err != nil {
		return nil, err
	}
	return p.Services, nil
}

// document is a params file with one row for the plugin.
func (r *run) document() map[string]any {
	d := r.kit.Description
	row := map[string]any{
		"id": 1, "service_type": d.ServiceType, "name": "conformance", "processes": 1,
		"message_format_in_id": preferred(d.FormatsIn), "message_format_out_id": preferred(d.FormatsOut),
	}
	switch d.Transport {
	case shared.TransportTCP, shared.TransportUDP:
		row["host"], row["port"] = "127.0.0.1", 0
	case shared.TransportUnix:
		row["endpoint"], row["socket_type"] = "service.sock", shared.SocketStream
	}
	doc := map[string]any{"active_service": []any{row}}
	if !builtIn(d.ServiceType) {
		doc["service_type"] = []any{map[string]any{"name": d.ServiceType}}
	}
	return doc
}

// preferred is JSON where the plugin has it: the kit's clients speak that.
func preferred(formats shared.Formats) shared.FormatID {
	if slices.Contains(formats, shared.FormatJSON) {
		return shared.FormatJSON
	}
	return formats[0]
}

func builtIn(serviceType string) bool {
	return slices.Contains([]string{"udp", "tcp", "unix", "websocket", "rest"}, serviceType)
}
