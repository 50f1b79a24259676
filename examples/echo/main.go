// Command antano-service-echo is an example of a service without clients of its own:
// whoever sends a message to it gets the value back.
//
// It is started by antano; see README.md for its params.
package main

import (
	"context"
	"encoding/json"

	"github.com/antano/antano/plugin"
	"github.com/antano/antano/shared"
)

const schema = `{
  "type": "object",
  "additionalProperties": false,
  "properties": {"prefix": {"type": "string", "default": "", "maxLength": 100}}
}`

func main() { plugin.Serve(&echo{}) }

// echo is a plugin.Service and a plugin.Handler.
type echo struct {
	settings struct{ Prefix string }
}

func (e *echo) Describe() shared.Description {
	formats := []shared.FormatID{shared.FormatJSON}
	return shared.Description{
		Name: "antano-service-echo", Version: "1.0.0", ServiceType: "echo", Transport: shared.TransportNone,
		Handler: true, Handover: true, FormatsIn: formats, FormatsOut: formats, Settings: json.RawMessage(schema),
	}
}

func (e *echo) Start(_ context.Context, host plugin.Host) error {
	return plugin.DecodeSettings(host, &e.settings)
}

func (e *echo) Stop(context.Context) error { return nil }

// OnReceivedMessage returns the value as it came; a text with the prefix before it.
func (e *echo) OnReceivedMessage(_ context.Context, m *shared.Message) (any, error) {
	var text string
	if e.settings.Prefix != "" && m.Format == shared.FormatText {
		return append([]byte(e.settings.Prefix), m.Value...), nil
	}
	if e.settings.Prefix != "" && m.Format == shared.FormatJSON && json.Unmarshal(m.Value, &text) == nil {
		return e.settings.Prefix + text, nil
	}
	return m.Value, nil
}
